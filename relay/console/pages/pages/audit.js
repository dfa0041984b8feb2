/* audit.js -- who did what, and who was refused. */
import { html, go, href } from "../base.js";
import { useApi } from "../api.js";
import { t } from "../words.js";
import { Empty, Head, Loaded, Table, Text, Time } from "../ui.js";
import { Pager, Search } from "../forms.js";

export default function Audit({ query }) {
	const from = useApi("/audit", { q: query.q, before: query.before });
	return html`<${Head} title=${t("nav.audit")} lead=${t("audit.lead")}/>
	<${Search} label=${t("audit.field")} value=${query.q} hint=${t("audit.hint")} onSearch=${(q) => go(["audit"], { q })}/>
	<${Loaded} from=${from}>${(d) => html`<${Table} caption=${t("nav.audit")} rows=${d.items || []} id=${(x, i) => x.n ?? x.id ?? x.seq ?? i} empty=${html`<${Empty} title=${t(query.q ? "audit.none-found" : "audit.none")}>${t("audit.none.do")}<//>`} columns=${[
		{ label: t("time"), tight: true, cell: (x) => html`<${Time} value=${x.time} seconds/>` }, { label: t("audit.who"), cell: (x) => html`<a href=${href(["audit"], { q: x.who ?? x.by })}><${Text} value=${x.who ?? x.by}/></a>` },
		{ label: t("audit.what"), cell: (x) => html`<${Text} value=${x.what ?? x.action}/>` }, { label: t("audit.subject"), wide: true, key: "subject" }, { label: t("audit.detail"), wide: true, full: true, cell: (x) => html`<${Text} value=${typeof x.detail === "object" && x.detail ? JSON.stringify(x.detail) : x.detail}/>` },
	]}/><${Pager} data=${d} query=${query} link=${(x) => href(["audit"], x)}/>`}<//>
	<p class="quiet small">${t("audit.verify")} <code>postern audit verify</code></p>`;
}
