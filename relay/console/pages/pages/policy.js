/* policy.js -- the rules and how often they hit; the files behind them, and the way to change them.
 *
 *	#/policy			rules		#/policy?rule=ID	one of them
 *	#/policy/files/NAME?line=N	a file: read, and for editors: editor.js
 *	#/policy/history		what was in force when
 */
import { html, go, href } from "../base.js";
import { may, useApi } from "../api.js";
import { t, word } from "../words.js";
import { Empty, Facts, Head, Loaded, Notice, State, Table, Text, Time } from "../ui.js";
import { Search } from "../forms.js";
import { Editor } from "../editor.js";
import * as f from "../format.js";

const short = (file) => String(file || "").replace(/^policy\.d\//, "");
const edits = (r) => (r.file && !r.file.startsWith("postern/") ? href(["policy", "files", short(r.file)], { line: r.line }) : null);
const name = (r) => r.id || r.name;
const title = (x) => (typeof x === "object" && x ? x[document.documentElement.lang] || Object.values(x)[0] : x);

function One({ r }) {
	const to = edits(r);
	return html`<section class="card stack"><div class="head2"><h2><${Text} value=${name(r)}/></h2><${State} state=${r.mode}/></div>${r.title && html`<p><${Text} value=${title(r.title)}/></p>`}
		<${Facts} rows=${[[t("policy.then"), r.then && html`<${State} state=${r.then}/>`], [t("direction"), word("direction", r.direction)], [t("incidents.severity"), word("severity", r.severity)], [t("policy.hits24"), f.number(r.hits_24h)], [t("policy.hits7"), f.number(r.hits_7d)],
			[t("policy.shadow7"), typeof r.shadow_7d === "number" && f.number(r.shadow_7d)], [t("policy.last"), html`<${Time} value=${r.last}/>`], [t("policy.review"), r.review_by]]}/>
		<div class="acts">${to ? html`<a class="button" href=${to}>${t(may("act:policy") ? "policy.edit" : "policy.read")}: <${Text} value=${short(r.file)}/>:${r.line}</a>` : html`<span class="quiet">${t("policy.built-in")}</span>`}
			${may("incidents") && html`<a class="button" href=${href(["incidents"], { rule: name(r) })}>${t("nav.incidents")}</a>`}<a class="button" href="#/policy">${t("policy.all")}</a></div></section>`;
}

function Rules({ query }) {
	const from = useApi("/policy");
	const q = (query.q || "").toLowerCase();
	return html`<${Loaded} from=${from}>${(d) => {
		const all = d.rules || d.items || [];
		const one = query.rule && all.find((r) => name(r) === query.rule);
		const rows = all.filter((r) => !q || [name(r), title(r.title), r.mode, r.file].some((x) => x && String(x).toLowerCase().includes(q)));
		return html`${query.rule && (one ? html`<${One} r=${one}/>` : html`<${Notice} kind="warn" title=${t("policy.no-rule", { rule: query.rule })}/>`)}
		<${Search} label=${t("policy.find")} value=${query.q} onSearch=${(x) => go(["policy"], { q: x }, true)}/>
		<${Table} caption=${t("policy.rules")} rows=${rows} id=${name} empty=${html`<${Empty} title=${t("policy.none")}>${t("policy.none.do")}<//>`} columns=${[
			{ label: t("rule"), wide: true, cell: (r) => html`<span><a href=${href(["policy"], { rule: name(r) })}><${Text} value=${name(r)}/></a>${r.title && html` <span class="quiet small"><${Text} value=${title(r.title)}/></span>`}</span>` },
			{ label: t("policy.mode"), tight: true, cell: (r) => html`<${State} state=${r.mode}/>` },
			{ label: t("policy.then"), tight: true, cell: (r) => word("state", r.then) || "–" },
			{ label: t("policy.hits24"), num: true, cell: (r) => f.number(r.hits_24h) },
			{ label: t("policy.hits7"), num: true, cell: (r) => html`<span>${f.number(r.hits_7d)}${r.shadow_7d > 0 && html` <span class="quiet small">${t("policy.shadow", { n: r.shadow_7d })}</span>`}</span>` },
			{ label: t("policy.last"), tight: true, cell: (r) => html`<${Time} value=${r.last} relative/>` },
			{ label: t("policy.place"), tight: true, cell: (r) => (edits(r) ? html`<a href=${edits(r)}><${Text} value=${short(r.file)}/>:${r.line}</a>` : html`<${Text} value=${r.file}/>`) },
		]}/><p class="quiet small">${t("explain.policy")} <code>${d.hash}</code></p>`;
	}}<//>`;
}

function History() {
	const from = useApi("/history");
	return html`<${Loaded} from=${from}>${(d) => html`<${Table} caption=${t("policy.history")} rows=${d.items || []} empty=${html`<${Empty} title=${t("policy.history.none")}/>`} columns=${[
		{ label: t("time"), tight: true, cell: (x) => html`<${Time} value=${x.time ?? x.since} seconds/>` }, { label: t("explain.policy"), cell: (x) => html`<code><${Text} value=${x.hash ?? x.policy}/></code>` },
		{ label: t("policy.how"), cell: (x) => word("how", x.how) }, { label: t("by"), cell: (x) => html`<${Text} value=${x.by ?? (typeof x.uid === "number" ? "uid " + x.uid : null)}/>` }, { label: t("policy.message"), wide: true, full: true, cell: (x) => html`<${Text} value=${x.message ?? x.text ?? x.commit}/>` }]}/>`}<//>`;
}

export default function Policy({ path, query }) {
	const tab = path[1] === "files" ? "files" : path[1] === "history" ? "history" : "rules";
	const tabs = [["rules", ["policy"]], ["files", ["policy", "files"]], ["history", ["policy", "history"]]];
	return html`<${Head} title=${t("nav.policy")} lead=${t("policy.lead")}/>
	<nav class="tabs" aria-label=${t("nav.policy")}>${tabs.map(([k, p]) => html`<a href=${href(p)} aria-current=${k === tab ? "page" : undefined}>${t("policy." + k)}</a>`)}</nav>
	${tab === "rules" ? html`<${Rules} query=${query}/>` : tab === "history" ? html`<${History}/>` : html`<${Editor} name=${path.slice(2).join("/")} line=${Number(query.line) || 0}/>`}`;
}
