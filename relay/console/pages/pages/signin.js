/* signin.js -- the door: the organisation's own sign-in service, where there is one (a link: the browser goes there and comes
 * back with a session); name and password, then the code of the telephone; or a link by mail.
 *
 * #/signin?token=… is such a link: its token is behind the # and so in no server's log. Opening it does
 * nothing yet, for mail servers open links too: the button does.
 */
import { html, useEffect, useRef, useState } from "../base.js";
import { send, useApi } from "../api.js";
import { language, t } from "../words.js";
import { Notice } from "../ui.js";
import { Field } from "../forms.js";
import { Languages, Theme } from "../shell.js";
import { enter } from "../app.js";

const said = (e) => (["login", "limit", "network", "late", "busy", "not-found", "forbidden", "invalid"].includes(e.code) ? t("signin.error." + e.code) : t("signin.error.fault"));

/* next: where one wanted to go; the server keeps it on the way. */
function Provider({ ways, next }) {
	const q = new URLSearchParams(next.query).toString(), to = "/" + next.path.map(encodeURIComponent).join("/") + (q ? "?" + q : "");
	return html`<p class="stack provider"><a class="button main" href=${`oidc/start?language=${language.get()}&next=${encodeURIComponent(to)}`}>${ways.oidc[language.get()] || t("signin.provider")}</a></p><p class="or">${t("signin.or")}</p>`;
}

function Password({ next, links }) {
	const [name, name_set] = useState(""), [password, password_set] = useState(""), [code, code_set] = useState("");
	const [asks, asks_set] = useState(false), [error, fail] = useState(null), [busy, busy_set] = useState(false);
	const field = useRef();
	useEffect(() => {
		asks && field.current?.focus();
	}, [asks]);
	const submit = async (e) => {
		e.preventDefault();
		if (busy)
			return;
		busy_set(true);
		fail(null);
		try {
			await enter(await send("POST", "/session", { name: name.trim(), password, ...(asks ? { code: code.replace(/\s/g, "") } : {}) }, { door: true }), next);
		} catch (x) {
			busy_set(false);
			if (x.code === "totp" && !asks)
				asks_set(true);
			else
				fail(x.code === "totp" ? t("signin.error.code") : said(x));
			code_set("");
		}
	};
	return html`<form class="form" onSubmit=${submit}>
		${error && html`<${Notice} kind="bad" title=${error}/>`}
		${!asks && html`<${Field} label=${t("signin.name")} name="name" value=${name} required autocomplete="username" autocapitalize="off" spellcheck="false" onInput=${(e) => name_set(e.target.value)}/>
		<${Field} label=${t("signin.password")} name="password" type="password" value=${password} required autocomplete="current-password" onInput=${(e) => password_set(e.target.value)}/>`}
		${asks && html`<p>${t("signin.code.why", { name })}</p><${Field} label=${t("signin.code")}>${(p) => html`<input ...${p} ref=${field} name="code" value=${code} inputmode="numeric"
			autocomplete="one-time-code" maxlength="8" required onInput=${(e) => code_set(e.target.value)}/>`}<//>`}
		<button class="main" aria-disabled=${busy ? "true" : undefined}>${t("signin")}</button>
		${asks ? html`<button type="button" class="plain" onClick=${() => {
			asks_set(false);
			password_set("");
			fail(null);
		}}>${t("signin.other")}</button>` : links && html`<p class="or"><a href="#/signin?by=mail">${t("signin.mail")}</a></p>`}
	</form>`;
}

function Mail() {
	const [address, set] = useState(""), [sent, sent_set] = useState(false), [error, fail] = useState(null);
	const done = useRef();
	useEffect(() => {
		sent && done.current?.focus();
	}, [sent]);
	if (sent)
		return html`<div class="stack"><h2 tabindex="-1" ref=${done}>${t("signin.sent")}</h2><p>${t("signin.sent.do", { address })}</p><p><a href="#/signin">${t("signin.with-password")}</a></p></div>`;
	return html`<form class="form" onSubmit=${async (e) => {
		e.preventDefault();
		try {
			await send("POST", "/session/link", { address: address.trim() }, { door: true });
			sent_set(true);
		} catch (x) {
			fail(said(x));
		}
	}}>${error && html`<${Notice} kind="bad" title=${error}/>`}
		<p>${t("signin.mail.why")}</p>
		<${Field} label=${t("signin.address")} type="email" name="address" value=${address} required autocomplete="email" onInput=${(e) => set(e.target.value)}/>
		<button class="main">${t("signin.mail.send")}</button><p class="or"><a href="#/signin">${t("signin.with-password")}</a></p></form>`;
}

function Link({ token }) {
	const [error, fail] = useState(null);
	return html`<div class="stack">${error ? html`<${Notice} kind="bad" title=${error}><p>${t("signin.link.again")}</p><//><p><a href="#/signin?by=mail">${t("signin.mail")}</a></p>` :
		html`<p>${t("signin.link.why")}</p><button type="button" class="main" onClick=${async () => {
			try {
				await enter(await send("POST", "/session/link/use", { token }, { door: true }), { path: [], query: {} });
			} catch (x) {
				fail(x.code === "login" || x.code === "not-found" ? t("signin.link.over") : said(x));
			}
		}}>${t("signin.link.use")}</button>`}</div>`;
}

export default function Signin({ path, query }) {
	const next = path[0] === "signin" ? { path: [], query: {} } : { path, query };
	const ways = useApi("/session/ways").data;
	useEffect(() => {
		document.title = t("signin") + " · Postern";
	});
	return html`<div class="door"><p class="brand"><img src="icon.svg" alt="" width="24" height="24"/>Postern</p>
		<main class="card"><h1>${t("signin")}</h1>
		${path[0] === "signin" && query.token ? html`<${Link} token=${query.token}/>` : query.by === "mail" && path[0] === "signin" ? html`<${Mail}/>` :
			html`${ways?.oidc && html`<${Provider} ways=${ways} next=${next}/>`}<${Password} next=${next} links=${!ways || ways.links}/>`}</main>
		<footer class="langs"><${Languages}/><${Theme}/></footer></div>`;
}
