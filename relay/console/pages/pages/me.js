/* me.js -- who is signed in here, and as what. */
import { html, useState } from "../base.js";
import { send, session } from "../api.js";
import { t, word } from "../words.js";
import { Facts, Head, Notice, say, problem_text } from "../ui.js";
import { Field } from "../forms.js";
import { Languages, leave } from "../shell.js";

function Password() {
	const [old, old_set] = useState(""), [fresh, fresh_set] = useState(""), [error, fail] = useState(null);
	return html`<details><summary>${t("me.password")}</summary><form class="card form" onSubmit=${async (e) => {
		e.preventDefault();
		fail(null);
		try {
			await send("POST", "/session/password", { old, password: fresh }, { door: true });
			old_set("");
			fresh_set("");
			say(t("me.changed"));
		} catch (x) {
			fail(problem_text(x));
		}
	}}>${error && html`<${Notice} kind="bad" title=${error}/>`}
		<${Field} label=${t("me.old")} type="password" name="old" required autocomplete="current-password" value=${old} onInput=${(e) => old_set(e.target.value)}/>
		<${Field} label=${t("me.new")} type="password" name="new" required minlength="10" hint=${t("users.password.hint", { n: 10 })} autocomplete="new-password" value=${fresh} onInput=${(e) => fresh_set(e.target.value)}/>
		<div class="acts"><button class="main">${t("me.password")}</button></div></form></details>`;
}

export default function Me() {
	const me = session.get();
	return html`<${Head} title=${t("nav.me")}><button type="button" onClick=${() => leave()}>${t("signout")}</button><button type="button" onClick=${() => leave(true)}>${t("me.everywhere")}</button><//>
	<section class="card stack"><${Facts} rows=${[[t("signin.name"), me.name], [t("users.roles"), (me.roles || []).map((r) => word("role", r)).join(", ")], [t("users.domains"), (me.domains || []).join(", ")],
		[t("users.addresses"), (me.addresses || []).join(", ")], [t("users.totp"), t(me.totp ? "yes" : "no")], [t("language"), html`<${Languages}/>`]]}/></section>
	${me.kind === "local" && html`<${Password}/>`}
	<p class="quiet small">${t("me.zone", { zone: Intl.DateTimeFormat().resolvedOptions().timeZone })}</p>`;
}
