/* trace.js -- "where is my message?" */
import { html, go, href } from "../base.js";
import { useApi } from "../api.js";
import { t } from "../words.js";
import { Addresses, Empty, Head, Id, Loaded, Notice, State, Table, Text, Time } from "../ui.js";
import { Pager, Search } from "../forms.js";
import * as f from "../format.js";

const EXAMPLES = ["m.durand@example.org", "@example.net", "192.0.2.20", "8Dofo3iR001", "durand"];

/* The worst that became of it, and of how many. */
const ORDER = ["failed", "rejected", "bounced", "expired", "quarantined", "held", "deferred", "queued", "accepted", "discarded", "released", "sent"];
export function fate(m) {
	const list = m.recipients || [];
	const all = list.map((r) => r.status || r.outcome).filter(Boolean);
	const worst = ORDER.find((s) => all.includes(s)) || all[0] || m.events?.at(-1)?.kind;
	return { state: worst, n: all.filter((s) => s === worst).length, of: list.length };
}
export const Fate = ({ message }) => {
	const x = fate(message);
	return html`<${State} state=${x.state}/>${x.of > 1 && html` <span class="quiet small">${x.n}/${x.of}</span>`}`;
};

const Help = () => html`<details><summary>${t("trace.help")}</summary><div class="card stack small"><p>${t("trace.help.text")}</p>
	<ul class="stack">${EXAMPLES.map((e, i) => html`<li><a href=${href(["trace"], { q: e })}><code>${e}</code></a> – ${t("trace.help." + (i + 1))}</li>`)}</ul><p class="quiet">${t("trace.help.cli")} <code>postern trace</code></p></div></details>`;

export default function Trace({ query }) {
	const q = query.q || "";
	const from = useApi(q ? "/trace" : null, { q, limit: 50, before: query.before });
	return html`<${Head} title=${t("nav.trace")} lead=${t("trace.lead")}/>
	<${Search} label=${t("trace.field")} value=${q} onSearch=${(text) => go(["trace"], { q: text })}/>
	<${Help}/>
	${!q ? html`<${Empty} title=${t("trace.begin")}>${t("trace.begin.do")}<//>` : html`<${Loaded} from=${from}>${(d) => html`
		${d.partial && html`<${Notice} kind="warn" title=${t("trace.partial")}><p>${t("trace.partial.do")}</p><//>`}
		<${Table} caption=${t("trace.found", { q })} rows=${d.items || []} id=${(m) => m.id} empty=${html`<${Empty} title=${t("trace.none", { q })}>${t("trace.none.do")}<//>`} columns=${[
			{ label: t("time"), tight: true, cell: (m) => html`<${Time} value=${m.time} seconds/>` },
			{ label: t("state"), tight: true, cell: (m) => html`<span><${Fate} message=${m}/></span>` },
			{ label: t("from"), wide: true, cell: (m) => (m.sender === "" ? html`<span class="quiet">${t("null-sender")}</span>` : html`<${Text} value=${m.sender}/>`) },
			{ label: t("to"), wide: true, cell: (m) => html`<span><${Addresses} list=${(m.recipients || []).map((r) => r.address)} max=${2}/></span>` },
			{ label: t("subject"), wide: true, cell: (m) => html`<${Text} value=${m.subject}/>` },
			{ label: t("size"), num: true, tight: true, cell: (m) => f.size(m.size) },
			{ label: t("id"), tight: true, cell: (m) => html`<${Id} id=${m.id}/>` },
		]}/>
		<${Pager} data=${d} query=${query} link=${(x) => href(["trace"], x)}/>`}<//>`}`;
}
