/* me.js -- who is signed in here, and as what. */
import { html } from "../base.js";
import { session } from "../api.js";
import { t, word } from "../words.js";
import { Facts, Head } from "../ui.js";
import { Languages, leave } from "../shell.js";

export default function Me() {
	const me = session.get();
	return html`<${Head} title=${t("nav.me")}><button type="button" onClick=${leave}>${t("signout")}</button><//>
	<section class="card stack"><${Facts} rows=${[[t("signin.name"), me.name], [t("users.roles"), (me.roles || []).map((r) => word("role", r)).join(", ")], [t("users.domains"), (me.domains || []).join(", ")],
		[t("users.addresses"), (me.addresses || []).join(", ")], [t("users.totp"), t(me.totp ? "yes" : "no")], [t("language"), html`<${Languages}/>`]]}/></section>
	<p class="quiet small">${t("me.zone", { zone: Intl.DateTimeFormat().resolvedOptions().timeZone })}</p>`;
}
