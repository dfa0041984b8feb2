"""secret_values.py -- keys, tokens and passwords, valid and not; see makers.py for what a maker is.

Keys are made by OpenSSL's own code (python3-cryptography) from seeded numbers.
"""
import base64
import json
import string
import zlib

from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from makers import HIGH, LOW, MEDIUM, NONE, digits, form, maker

ALNUM = string.ascii_letters + string.digits
URL64 = ALNUM + "-_"


def drawn(r, n, alphabet=ALNUM):
    return "".join(r.choice(alphabet) for _ in range(n))


def prime(r, bits):
    while True:
        n = r.getrandbits(bits) | 1 | 3 << bits - 2
        if pow(2, n - 1, n) == 1 and all(n % p for p in (3, 5, 7, 11, 13)) and pow(3, n - 1, n) == 1 and n % 65537 != 1:
            return n


POOL = []


def pem(r):
    """One of a dozen: making them is slow."""
    if len(POOL) < 12:
        POOL.append(pem_new(r))
        return POOL[-1]
    return r.choice(POOL)


def pem_new(r):
    kind = r.randint(0, 4)
    if kind == 0:
        p, q = sorted((prime(r, 512), prime(r, 512)), reverse=True)
        d = pow(65537, -1, (p - 1) * (q - 1))
        key = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), rsa.RSAPublicNumbers(65537, p * q)).private_key()
    elif kind == 1:
        key = ed25519.Ed25519PrivateKey.from_private_bytes(r.randbytes(32))
    else:
        key = ec.derive_private_key(r.getrandbits(250) + 1, ec.SECP256R1())
    form_ = r.choice([ser.PrivateFormat.PKCS8, ser.PrivateFormat.OpenSSH] + ([] if kind == 1 else [ser.PrivateFormat.TraditionalOpenSSL]))
    lock = ser.NoEncryption()
    if form_ is ser.PrivateFormat.PKCS8 and r.random() < 0.2:
        lock = ser.BestAvailableEncryption(b"x")
    return key, key.private_bytes(ser.Encoding.PEM, form_, lock).decode()


@maker
class PrivateKey:
    name = "private-key"
    source = "RFC 7468 (PEM), RFC 5958 (PKCS 8), RFC 8017, RFC 5915, OpenSSH PROTOCOL.key, RFC 4880 6.2 (armour)"
    labels = {"en": ["private key", "SSH key", "server key", "secret key"], "fr": ["clé privée", "clé SSH", "clé du serveur"]}
    block = True

    def forms(self, r):
        text = pem(r)[1].rstrip("\n")
        if r.random() < 0.15:       # a version 4 secret-key packet, old format, two-octet length
            body = bytes([4]) + r.randbytes(300)
            raw = b"\x95" + len(body).to_bytes(2, "big") + body
            b64 = base64.b64encode(raw).decode()
            text = "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n" + "\n".join(b64[i:i + 64] for i in range(0, len(b64), 64)) + \
                "\n=" + drawn(r, 4) + "\n-----END PGP PRIVATE KEY BLOCK-----"
        return [form(text, HIGH), form(text.replace("\n", "\r\n"), HIGH), form(text.replace("\n", "\\n"), HIGH)]

    def invalid(self, r):
        words = " ".join(r.choice(["the", "key", "goes", "here", "paste", "your", "clé", "ici"]) for _ in range(20))
        junk = "\n".join(drawn(r, 64, ALNUM + "+/") for _ in range(5))
        public = pem(r)[0].public_key().public_bytes(ser.Encoding.PEM, ser.PublicFormat.SubjectPublicKeyInfo).decode()
        return r.choice([public, "-----BEGIN RSA PRIVATE KEY-----\n" + words + "\n-----END RSA PRIVATE KEY-----",
                         "-----BEGIN CERTIFICATE-----\n" + junk + "\n-----END CERTIFICATE-----",
                         "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
                         "-----BEGIN PRIVATE KEY-----\n" + "x" * 64 + "\n-----END PRIVATE KEY-----"])


@maker
class AwsKey:
    name = "aws-key"
    source = "AWS IAM User Guide, unique identifiers (AKIA, ASIA); secret: 40 characters of base64"
    labels = {"en": ["AWS access key", "aws_access_key_id", "AWS key", "S3 access key"], "fr": ["clé AWS", "clé d'accès AWS", "aws_access_key_id"]}

    def forms(self, r):
        key = r.choice(["AKIA", "AKIA", "ASIA"]) + drawn(r, 16, string.ascii_uppercase + "234567")
        secret = drawn(r, 40, ALNUM + "+/")
        return [form(key, MEDIUM), form("%s\naws_secret_access_key = %s" % (key, secret), HIGH), form('{"SecretAccessKey": "%s"}' % secret, HIGH)]

    def invalid(self, r):
        return r.choice(["AKIAIOSFODNN7EXAMPLE", "AKIA" + "X" * 16, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                         "AKIA" + drawn(r, 12, string.ascii_uppercase), "AKIA" + drawn(r, 16, string.ascii_lowercase)])


@maker
class GcpKey:
    name = "gcp-key"
    source = "Google Cloud, API keys and service account keys; OAuth client secrets"
    labels = {"en": ["Google API key", "GCP key", "API key"], "fr": ["clé API Google", "clé API", "compte de service"]}

    def forms(self, r):
        account = json.dumps({"type": "service_account", "project_id": "p-%s" % digits(r, 6), "private_key_id": drawn(r, 40, "0123456789abcdef"),
                              "private_key": pem(r)[1], "client_email": "svc@p.iam.gserviceaccount.com"}, indent=r.choice([None, 2]))
        return [form("AIza" + drawn(r, 35, URL64), MEDIUM), form("GOCSPX-" + drawn(r, 28, URL64), MEDIUM),
                form(account, HIGH), form("ya29." + drawn(r, 120, URL64), MEDIUM)]

    def invalid(self, r):
        return r.choice(["AIza" + "x" * 35, "AIza" + drawn(r, 20), "GOCSPX-your-client-secret", '{"type": "service_account", "private_key": "..."}'])


@maker
class AzureKey:
    name = "azure-key"
    source = "Microsoft Learn: storage and Service Bus connection strings, SAS, Entra client secrets"
    labels = {"en": ["Azure storage account", "Azure client secret", "Azure key"], "fr": ["compte de stockage Azure", "secret client Azure", "clé Azure"]}

    def forms(self, r):
        key = base64.b64encode(r.randbytes(64)).decode()
        bus = base64.b64encode(r.randbytes(32)).decode()
        return [form("DefaultEndpointsProtocol=https;AccountName=a%s;AccountKey=%s;EndpointSuffix=core.windows.net" % (digits(r, 5), key), HIGH),
                form("Endpoint=sb://n.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=" + bus, HIGH),
                form(drawn(r, 3) + "8Q~" + drawn(r, 34, ALNUM + "_~.-")[:-1] + "a", MEDIUM),
                form("https://a.blob.core.windows.net/c?sv=2022-11-02&sp=r&sig=" + bus.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D"), HIGH)]

    def invalid(self, r):
        return r.choice(["AccountKey=<your-key>", "AccountKey=" + drawn(r, 20), "AccountKey=" + "A" * 86 + "==", "SharedAccessKey=..."])


def crc62(body):
    alphabet = string.digits + string.ascii_uppercase + string.ascii_lowercase
    n, out = zlib.crc32(body.encode()), ""
    for _ in range(6):
        n, d = divmod(n, 62)
        out = alphabet[d] + out
    return out


@maker
class GithubToken:
    name = "github-token"
    source = "GitHub engineering blog, 5 April 2021: 30 characters and their CRC-32 in base 62"
    labels = {"en": ["GitHub token", "personal access token", "git token"], "fr": ["jeton GitHub", "token GitHub"]}

    def forms(self, r):
        body = drawn(r, 30)
        return [form(r.choice(["ghp_", "gho_", "ghs_", "ghu_", "ghr_"]) + body + crc62(body), HIGH),
                form("github_pat_" + drawn(r, 22) + "_" + drawn(r, 59), HIGH)]

    def invalid(self, r):
        return r.choice(["ghp_" + drawn(r, 36), "ghp_" + drawn(r, 30), "ghp_" + "x" * 36])


@maker
class GitlabToken:
    name = "gitlab-token"
    source = "GitLab documentation, token overview and prefixes"
    labels = {"en": ["GitLab token", "personal access token", "runner token"], "fr": ["jeton GitLab", "token GitLab"]}

    def forms(self, r):
        return [form(r.choice(["glpat-", "glpat-", "gldt-", "glrt-", "glsoat-", "glptt-"]) + drawn(r, 20, URL64), MEDIUM),
                form("glpat-" + drawn(r, 30, URL64) + "." + drawn(r, 2, "01abc") + "." + drawn(r, 9, "0123456789abcdefghij"), MEDIUM)]

    def invalid(self, r):
        return r.choice(["glpat-" + "x" * 20, "glpat-your-token-here", "glpat-" + drawn(r, 8)])


@maker
class SlackToken:
    name = "slack-token"
    source = "Slack API documentation, token types and incoming webhooks"
    labels = {"en": ["Slack token", "Slack bot token", "Slack webhook"], "fr": ["jeton Slack", "token Slack", "webhook Slack"]}

    def forms(self, r):
        return [form("xoxb-%s-%s-%s" % (digits(r, 12), digits(r, 13), drawn(r, 24)), MEDIUM),
                form("xoxp-%s-%s-%s-%s" % (digits(r, 12), digits(r, 12), digits(r, 13), drawn(r, 32, "0123456789abcdef")), MEDIUM),
                form("https://hooks.slack.com/services/T%s/B%s/%s" % (drawn(r, 8, string.ascii_uppercase + string.digits), drawn(r, 8, string.ascii_uppercase + string.digits), drawn(r, 24)), MEDIUM),
                form("xapp-1-A%s-%s-%s" % (drawn(r, 10, string.ascii_uppercase + string.digits), digits(r, 13), drawn(r, 64, "0123456789abcdef")), MEDIUM)]

    def invalid(self, r):
        return r.choice(["xoxb-your-token", "xoxb-000000000000-000000000000-000000000000000000000000", "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"])


@maker
class StripeKey:
    name = "stripe-key"
    source = "Stripe documentation, API keys (sk_, rk_, whsec_)"
    labels = {"en": ["Stripe key", "Stripe API key", "Stripe secret key"], "fr": ["clé Stripe", "clé API Stripe", "clé secrète Stripe"]}

    def forms(self, r):
        return [form("sk_" "live_" + drawn(r, 24), MEDIUM), form("rk_" "live_" + drawn(r, 99), MEDIUM), form("whsec_" + drawn(r, 32), MEDIUM),
                form("sk_" "test_" + drawn(r, 24), LOW, MEDIUM)]

    def invalid(self, r):
        return r.choice(["sk_live_" + "x" * 24, "pk_live_" + drawn(r, 24), "sk_live_your_key"])


@maker
class Jwt:
    name = "jwt"
    source = "RFC 7519, RFC 7515 section 3"
    labels = {"en": ["JWT", "bearer token", "access token", "Authorization: Bearer", "session token"], "fr": ["jeton d'accès", "jeton JWT", "jeton de session", "token"]}

    def part(self, v):
        return base64.urlsafe_b64encode(v if isinstance(v, bytes) else json.dumps(v, separators=(",", ":")).encode()).decode().rstrip("=")

    def forms(self, r):
        alg = r.choice(["HS256", "RS256", "ES256"])
        head = r.choice([{"alg": alg, "typ": "JWT"}, {"typ": "JWT", "alg": alg}, {"kid": drawn(r, 20), "alg": alg}])
        body = {"sub": digits(r, 10), "iat": r.randint(1600000000, 1900000000), "name": r.choice(["Anne Martin", "J. Smith"])}
        return [form(".".join([self.part(head), self.part(body), self.part(r.randbytes(256 if alg == "RS256" else 32))]), MEDIUM)]

    def invalid(self, r):
        return r.choice(["eyJ" + drawn(r, 30, URL64) + ".eyJ" + drawn(r, 40, URL64) + "." + drawn(r, 43, URL64),
                         ".".join([self.part({"typ": "JWT"}), self.part({"a": 1}), drawn(r, 43)]), "eyJhbGciOi...<token>"])


@maker
class ConnectionString:
    name = "connection-string"
    source = "RFC 3986 3.2.1 (userinfo); libpq 34.1.1.2, ADO.NET and ODBC connection strings"
    labels = {"en": ["connection string", "database URL", "production database", "DSN"], "fr": ["chaîne de connexion", "base de données de production", "DSN"]}

    def forms(self, r):
        pw = password(r)
        safe = "".join(c if c in ALNUM else "%%%02X" % ord(c) for c in pw)
        host = r.choice(["db.example.org", "10.2.3.4", "pg-01.internal", "localhost"])
        return [form("%s://%s:%s@%s:%d/%s" % (r.choice(["postgresql", "mysql", "mongodb+srv", "amqp", "redis", "postgres"]), r.choice(["app", "admin", "svc_mail"]), safe, host, r.randint(1000, 9999), r.choice(["main", "prod"])), MEDIUM),
                form("Server=%s;Database=crm;User Id=app;Password=%s;" % (host, pw.replace(";", "x")), MEDIUM),
                form("Driver={PostgreSQL};Server=%s;Port=5432;Uid=app;Pwd=%s;" % (host, pw.replace(";", "x")), MEDIUM),
                form("host=%s port=5432 dbname=main user=app password=%s" % (host, pw), MEDIUM)]

    def invalid(self, r):
        return r.choice(["postgresql://user:<password>@host/db", "mysql://localhost:3306/main", "Server=x;Database=y;Integrated Security=true;",
                         "https://example.org:8443/path", "Server=x;User Id=y;Password=***;", "postgresql://user:password@host/db", "redis://${USER}:${PASS}@host"])


def password(r):
    k = r.random()
    if k < 0.4:
        return drawn(r, 1, string.ascii_uppercase) + drawn(r, r.randint(5, 9)) + digits(r, 2) + r.choice("!?*#$%+=&")
    if k < 0.7:
        return r.choice(["Soleil", "Winter", "Paris", "Dragon", "Bonjour", "Summer", "Azerty", "Tigre"]) + digits(r, r.choice([2, 4])) + r.choice(["!", "?", "*", "$", "#"])
    return drawn(r, r.randint(9, 16)) + digits(r, 1) + r.choice("AZ") + r.choice("az")


@maker
class PasswordInClear:
    name = "password-in-clear"
    source = "this program's definition: a word for password, a sign or verb, and what no dictionary holds"
    labels = {"en": ["password", "Password", "passwd", "pwd", "passphrase"], "fr": ["mot de passe", "mdp", "Mot de passe", "MDP"],
              "de": ["Passwort", "Kennwort"], "es": ["contraseña", "clave de acceso"], "it": ["password", "password di accesso"], "nl": ["wachtwoord"],
              "pt": ["senha", "palavra-passe"], "pl": ["hasło"], "sv": ["lösenord"], "da": ["adgangskode"], "no": ["passord"], "fi": ["salasana"]}
    own_label = True        # the label is a part of the find

    def forms(self, r):
        return [form(password(r), MEDIUM)]

    def invalid(self, r):
        return r.choice(["********", "<password>", "${SECRET}", "oublié", "required", "https://example.org/reset?x=12ab", "expired", "xxxxxxxx", "[hidden]", "à changer"])
