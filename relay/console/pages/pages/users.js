/* users.js -- local accounts and what they may: of the administrator alone. */
import { html, useState } from "../base.js";
import { may, ROLES, seg, send, session, useApi } from "../api.js";
import { t, word } from "../words.js";
import { Empty, Head, Loaded, Notice, State, Table, Text, Time, problem_text } from "../ui.js";
import { act, Act, ask, Field } from "../forms.js";

const PASSWORD_MIN = 10;
const words = (s) => s.split(/[\s,]+/).filter(Boolean);

/* user: null for a new one */
function Form({ user, done }) {
	const [v, set] = useState({ name: user?.name || "", password: "", roles: new Set(user?.roles || []), domains: (user?.domains || []).join(", "), addresses: (user?.addresses || []).join(", ") }), [error, fail] = useState(null);
	const on = (k) => (e) => set({ ...v, [k]: e.target.value });
	return html`<form class="card form" onSubmit=${async (e) => {
		e.preventDefault();
		fail(null);
		const body = { roles: [...v.roles], domains: words(v.domains), addresses: words(v.addresses), ...(v.password ? { password: v.password } : {}) };
		try {
			await (user ? send("PATCH", "/users/" + seg(user.name), body) : send("POST", "/users", { name: v.name.trim(), ...body }));
			done(true);
		} catch (x) {
			fail(problem_text(x));
		}
	}}><h2>${user ? html`<${Text} value=${user.name}/>` : t("users.add")}</h2>${error && html`<${Notice} kind="bad" title=${error}/>`}
		${!user && html`<${Field} label=${t("users.name")} name="name" required value=${v.name} autocomplete="off" autocapitalize="off" spellcheck="false" onInput=${on("name")}/>`}
		<${Field} label=${t("users.password")} hint=${t(user ? "users.password.keep" : "users.password.hint", { n: PASSWORD_MIN })} type="password" name="new-password" minlength=${PASSWORD_MIN} required=${!user} autocomplete="new-password" value=${v.password} onInput=${on("password")}/>
		<fieldset><legend>${t("users.roles")}</legend><div class="stack">${ROLES.map((r) => html`<label class="check"><input type="checkbox" checked=${v.roles.has(r)} onChange=${(e) => {
			const roles = new Set(v.roles);
			if (e.target.checked)
				roles.add(r);
			else
				roles.delete(r);
			set({ ...v, roles });
		}}/><span><span class="strong">${t("role." + r)}</span> <span class="quiet small">${t("role." + r + ".may")}</span></span></label>`)}</div></fieldset>
		<${Field} label=${t("users.domains")} hint=${t("users.domains.hint")} value=${v.domains} spellcheck="false" onInput=${on("domains")}/>
		<${Field} label=${t("users.addresses")} hint=${t("users.addresses.hint")} value=${v.addresses} spellcheck="false" onInput=${on("addresses")}/>
		<div class="acts"><button class="main">${t("save")}</button><button type="button" onClick=${() => done(false)}>${t("cancel")}</button></div></form>`;
}

export default function Users() {
	const from = useApi("/users");
	const [edited, edit] = useState(undefined), [secret, show] = useState(null);
	const me = session.get();
	return html`<${Head} title=${t("nav.users")} lead=${t("users.lead")}>${may("act:users") && edited === undefined && html`<button type="button" class="main" onClick=${() => edit(null)}>${t("users.add")}</button>`}<//>
	${edited !== undefined && html`<${Form} key=${edited?.name} user=${edited} done=${(saved) => {
		edit(undefined);
		saved && from.reload();
	}}/>`}
	${secret && html`<${Notice} kind="warn" title=${t("users.totp.new", { name: secret.name })}><p>${t("users.totp.once")}</p><p><code>${secret.secret || secret.uri}</code></p>${secret.uri && html`<p class="small"><code>${secret.uri}</code></p>`}${secret.recovery?.length > 0 && html`<p>${t("users.recovery")}</p><p><code>${secret.recovery.join("  ")}</code></p>`}<p><button type="button" onClick=${() => show(null)}>${t("users.totp.noted")}</button></p><//>`}
	<${Loaded} from=${from}>${(d) => html`<${Table} caption=${t("nav.users")} rows=${d.items || []} id=${(u) => u.name + (u.issuer || "")} empty=${html`<${Empty} title=${t("users.none")}>${t("users.none.do")}<//>`} columns=${[
		{ label: t("users.name"), cell: (u) => html`<span><span class="strong"><${Text} value=${u.name}/></span>${u.disabled && html` <span class="tag">${t("users.disabled")}</span>`}${u.issuer && html` <span class="tag">${t("users.provider")}</span>`}</span>` },
		{ label: t("users.roles"), wide: true, cell: (u) => html`<span>${(u.roles || []).map((r) => html`<span class="tag">${word("role", r)}</span> `)}</span>` },
		{ label: t("users.of"), wide: true, cell: (u) => html`<${Text} value=${[...(u.domains || []), ...(u.addresses || [])].join(", ")}/>` },
		{ label: t("users.totp"), tight: true, cell: (u) => html`<${State} state=${u.totp ? "ok" : "none"} label=${t(u.totp ? "yes" : "no")}/>` },
		{ label: t("users.last"), tight: true, cell: (u) => html`<${Time} value=${u.last ?? u.last_login} relative/>` },
		may("act:users") && { label: t("acts"), cell: (u) => html`<span class="acts">${!u.issuer && html`<button type="button" class="small" aria-label=${t("edit.of", { name: u.name })} onClick=${() => edit(u)}>${t("edit")}</button>
			<${Act} small label=${t("users.totp.of", { name: u.name })} onAct=${async () => {
				if (!await ask({ title: t("users.totp.ask", { name: u.name }), text: t("users.totp.what"), ok: t("users.totp.make") }))
					return;
				const r = await act(() => send("POST", `/users/${seg(u.name)}/totp`, {}));
				if (r) {
					show({ name: u.name, ...r });
					from.reload();
				}
			}}>${t("users.totp.make")}<//>`}
			${u.name !== me.name && html`<${Act} small kind="danger" label=${t("users.remove.of", { name: u.name })} onAct=${async () => {
				if (await ask({ title: t("users.ask", { name: u.name }), text: t("users.ask.what"), ok: t("users.remove"), danger: true }) && await act(() => send("DELETE", "/users/" + seg(u.name)), t("users.removed")))
					from.reload();
			}}>${t("users.remove")}<//>`}</span>` },
	]}/>`}<//>`;
}
