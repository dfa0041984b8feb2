/* reputation.js -- what is known of an address that sends to us. */
import { html, go, href } from "../base.js";
import { seg, useApi } from "../api.js";
import { t } from "../words.js";
import { Empty, Facts, Head, Loaded, Section, Table, Text, Time, State } from "../ui.js";
import { Search } from "../forms.js";
import * as f from "../format.js";

/* Whatever the server knows of it: plain values as names and values, lists of objects as tables. */
const shown = (k, v) => (/time|seen|since|until|first|last|expires/.test(k) && typeof v === "number" && v > 1e9 ? html`<${Time} value=${v}/>` : typeof v === "number" ? f.number(v) : typeof v === "boolean" ? t(v ? "yes" : "no") : v);
const plain = (d) => Object.entries(d).filter(([k, v]) => k !== "v" && v !== null && typeof v !== "object").map(([k, v]) => [k.replace(/_/g, " "), shown(k, v)]);
const tables = (d) => Object.entries(d).filter(([, v]) => Array.isArray(v) && v.length && typeof v[0] === "object");
const groups = (d) => Object.entries(d).filter(([, v]) => v && typeof v === "object" && !Array.isArray(v));

export default function Reputation({ path }) {
	const who = path[1];
	const from = useApi(who ? "/reputation/" + seg(who) : null);
	return html`<${Head} title=${t("nav.reputation")} lead=${t("reputation.lead")}/>
	<${Search} label=${t("reputation.field")} hint=${t("reputation.hint")} value=${who} onSearch=${(q) => go(q ? ["reputation", q] : ["reputation"])}/>
	${!who ? html`<${Empty} title=${t("reputation.begin")}>${t("reputation.begin.do")}<//>` : html`<${Loaded} from=${from}>${(d) => {
		const x = d.item || d;
		return html`<section class="card stack"><h2><${Text} value=${who}/></h2><${Facts} rows=${plain(x)}/>
			${Array.isArray(x.why) && html`<ul class="plainlist">${x.why.map((line) => html`<li><${Text} value=${line}/></li>`)}</ul>`}</section>
		${groups(x).map(([k, v]) => html`<${Section} title=${k.replace(/_/g, " ")}><div class="card"><${Facts} rows=${plain(v)}/></div><//>`)}
		${tables(x).map(([k, rows]) => html`<${Section} title=${k.replace(/_/g, " ")}><${Table} caption=${k} rows=${rows} columns=${Object.keys(rows[0]).filter((c) => c !== "v").map((c) => ({ label: c.replace(/_/g, " "), cell: (r) => (c === "verdict" ? html`<${State} state=${r[c]}/>` : html`<span>${typeof shown(c, r[c]) === "object" ? shown(c, r[c]) : html`<${Text} value=${shown(c, r[c])}/>`}</span>`) }))}/><//>`)}
		<p><a href=${href(["trace"], { q: who })}>${t("reputation.trace")}</a></p>`;
	}}<//>`}`;
}
