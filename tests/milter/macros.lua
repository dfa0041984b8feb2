-- Macros that are missing, wrong or too many; clients without an address; names that are none.
dofile(common)

-- No macro at all, not even the message's name.
local conn = open(6, 0x1ff, 0x1fffff)
go_on(conn, mt.conninfo(conn, "client.example.lab", "192.0.2.7"), "connect")
go_on(conn, mt.helo(conn, "client.example.lab"), "helo")
go_on(conn, mt.mailfrom(conn, "<a@example.lab>"), "mail")
go_on(conn, mt.rcptto(conn, "<b@partner.lab>"), "rcpt")
content(conn, "without macros", "Hello.\r\n")
passed(conn)
mt.disconnect(conn)

-- Who logged in, and over what; without braces as well.
for _, braces in ipairs{true, false} do
	conn = open(6, 0x1ff, 0x1fffff)
	local function name(s) return braces and "{" .. s .. "}" or s end
	mt.macro(conn, SMFIC_CONNECT, "j", "mta.lab", "_", "client.example.lab [192.0.2.7]", name("daemon_name"), "smtpd", "v", "Postfix 3.7.11")
	go_on(conn, mt.conninfo(conn, "client.example.lab", "192.0.2.7"), "connect")
	mt.macro(conn, SMFIC_HELO, name("tls_version"), "TLSv1.3", name("cipher"), "TLS_AES_256_GCM_SHA384", name("cipher_bits"), "256")
	go_on(conn, mt.helo(conn, "client.example.lab"), "helo")
	mt.macro(conn, SMFIC_MAIL, "i", "queue-" .. tostring(braces), name("auth_type"), "PLAIN", name("auth_authen"), "alice",
	    name("auth_author"), "alice", name("mail_addr"), "a@example.lab")
	go_on(conn, mt.mailfrom(conn, "<a@example.lab>", "SIZE=100", "BODY=8BITMIME", "SMTPUTF8"), "mail")
	mt.macro(conn, SMFIC_RCPT, name("rcpt_addr"), "b@partner.lab", name("rcpt_host"), "partner.lab", name("rcpt_mailer"), "smtp")
	go_on(conn, mt.rcptto(conn, "<b@partner.lab>", "NOTIFY=NEVER"), "rcpt")
	content(conn, "with macros", "Hello.\r\n")
	passed(conn)
	mt.disconnect(conn)
end

-- A local submission has no address; a name may be an address in brackets, or nothing a name can be.
for _, from in ipairs{{"localhost", "unspec"}, {"[192.0.2.7]", "192.0.2.7"}, {"ipv6.example.lab", "2001:db8::1"}, {"a b\tc", "192.0.2.7"}} do
	conn = open(6, 0x1ff, 0x1fffff)
	go_on(conn, mt.conninfo(conn, from[1], from[2]), "connect " .. from[1])
	go_on(conn, mt.helo(conn, "not a name!"), "helo")
	message(conn, {"b@partner.lab"})
	content(conn, "from " .. from[2], "Hello.\r\n")
	passed(conn)
	mt.disconnect(conn)
end

-- A command the MTA does not know concerns nobody.
conn = open(6, 0x1ff, 0)
go_on(conn, mt.conninfo(conn, "client.example.lab", "192.0.2.7"), "connect")
go_on(conn, mt.helo(conn, "client.example.lab"), "helo")
go_on(conn, mt.unknown(conn, "XYZZY plugh"), "unknown")
message(conn, {"b@partner.lab"})
go_on(conn, mt.data(conn), "data")
content(conn, "after XYZZY", "Hello.\r\n")
passed(conn)
mt.disconnect(conn)
