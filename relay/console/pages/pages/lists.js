/* lists.js -- senders one always or never wants: of a user, a domain, of all. */
import { html, go, href, useState } from "../base.js";
import { may, send, session, useApi } from "../api.js";
import { t } from "../words.js";
import { Empty, Head, Loaded, State, Table, Text, Time, problem_text } from "../ui.js";
import { act, Act, ask, Field, Pager, Search, Select } from "../forms.js";

function scopes() {
	const me = session.get();
	const all = may("act:kept") && !(me.roles.length === 1 && me.roles[0] === "domain_admin");
	return [...(me.addresses || []).map((a) => ["user " + a, t("lists.scope.user", { owner: a })]), ...(me.domains || []).map((d) => ["domain " + d, t("lists.scope.domain", { owner: d })]),
		...(all ? [["all ", t("lists.scope.all")]] : [])];
}

function Add({ reload }) {
	const choices = scopes();
	const [v, set] = useState({ whose: choices[0]?.[0] || "all ", list: "block", what: "", reason: "", days: "" }), [error, fail] = useState(null);
	const on = (k) => (x) => set({ ...v, [k]: x });
	return html`<details><summary>${t("lists.add")}</summary><form class="card form" onSubmit=${async (e) => {
		e.preventDefault();
		fail(null);
		const cut = v.whose.indexOf(" ");
		try {
			await send("POST", "/lists", { scope: v.whose.slice(0, cut), owner: v.whose.slice(cut + 1), list: v.list, what: v.what.trim(), ...(v.reason ? { reason: v.reason } : {}),
				expires: v.days ? v.days + "d" : "never" });
			set({ ...v, what: "", reason: "" });
			reload();
		} catch (x) {
			fail(problem_text(x));
		}
	}}><${Select} label=${t("lists.list")} value=${v.list} options=${[["block", t("lists.block")], ["allow", t("lists.allow")]]} onChange=${on("list")}/>
		<${Field} label=${t("lists.what")} hint=${t("lists.what.hint")} error=${error} name="what" required value=${v.what} autocapitalize="off" spellcheck="false" onInput=${(e) => on("what")(e.target.value)}/>
		${choices.length > 1 && html`<${Select} label=${t("lists.whose")} value=${v.whose} options=${choices} onChange=${on("whose")}/>`}
		<${Field} label=${t("lists.reason")} name="reason" value=${v.reason} maxlength="200" onInput=${(e) => on("reason")(e.target.value)}/>
		<${Select} label=${t("expires")} value=${v.days} options=${[["", t("never")], ["30", t("n.days", { n: 30 })], ["90", t("n.days", { n: 90 })], ["365", t("n.days", { n: 365 })]]} onChange=${on("days")}/>
		<div class="acts"><button class="main">${t("lists.add")}</button></div></form></details>`;
}

export default function Lists({ query }) {
	const from = useApi("/lists", { q: query.q, owner: query.owner, state: query.state, before: query.before });
	const mine = !may("trace");
	return html`<${Head} title=${t(mine ? "nav.my-lists" : "nav.lists")} lead=${t("lists.lead")}/>
	${may("act:lists") && html`<${Add} reload=${from.reload}/>`}
	<${Search} label=${t("lists.field")} value=${query.q} onSearch=${(q) => go(["lists"], { q })}/>
	<${Loaded} from=${from}>${(d) => html`<${Table} caption=${t("nav.lists")} rows=${d.items || []} id=${(x) => x.number} empty=${html`<${Empty} title=${t(query.q ? "lists.none-found" : "lists.none")}>${t("lists.none.do")}<//>`} columns=${[
		{ label: t("lists.list"), tight: true, cell: (x) => html`<${State} state=${x.list} label=${t("lists." + (x.list === "allow" ? "allow" : "block"))}/>` },
		{ label: t("lists.what"), wide: true, cell: (x) => html`<${Text} value=${x.what}/>` },
		{ label: t("lists.whose"), cell: (x) => (x.scope === "all" ? t("lists.scope.all") : html`<${Text} value=${x.owner}/>`) },
		{ label: t("lists.reason"), wide: true, key: "reason" },
		{ label: t("lists.by"), key: "by" },
		{ label: t("state"), tight: true, cell: (x) => html`<${State} state=${x.state}/>`, hide: !(d.items || []).some((x) => x.state && x.state !== "active") },
		{ label: t("expires"), tight: true, cell: (x) => (x.expires ? html`<${Time} value=${x.expires}/>` : t("never")) },
		may("act:lists") && { label: t("acts"), cell: (x) => html`<span class="acts">${x.state === "requested" && may("act:requests") && ["approve", "deny"].map((v) => html`<${Act} small onAct=${async () => {
			const r = v === "approve" ? {} : await ask({ title: t("lists.deny.ask"), list: [x.what], ok: t("kept.deny"), danger: true, reason: "needed", least: 3 });
			if (r && await act(() => send("POST", `/lists/${x.number}/${v}`, r), t("lists.answered")))
				from.reload();
		}}>${t("kept." + v)}<//>`)}<${Act} small kind="danger" label=${t("lists.remove.of", { what: x.what })} onAct=${async () => {
			if (await ask({ title: t("lists.ask"), list: [x.what], ok: t("lists.remove"), danger: true }) && await act(() => send("DELETE", "/lists/" + x.number), t("lists.removed")))
				from.reload();
		}}>${t("lists.remove")}<//></span>` },
	]}/><${Pager} data=${d} query=${query} link=${(x) => href(["lists"], x)}/>`}<//>`;
}
