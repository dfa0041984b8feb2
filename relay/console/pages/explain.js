/* explain.js -- a verdict's record as a tree: recipient, outcome, rule, what it found; then what nearly hit.
 * Evidence is masked as it comes: nothing here could unmask it. */
import { html, href } from "./base.js";
import { may } from "./api.js";
import { t, word } from "./words.js";
import { Facts, Notice, Section, State, Table, Text, Time } from "./ui.js";
import * as f from "./format.js";

const Rule = ({ name, kind }) => html`<span>${kind && html`<span class="tag">${t("explain." + kind)}</span> `}${may("policy") ? html`<a href=${href(["policy"], { rule: name })}><${Text} value=${name}/></a>` :
	html`<span class="strong"><${Text} value=${name}/></span>`}</span>`;

const Finding = ({ x }) => html`<li class="finding"><span class="strong"><${Text} value=${x.detector}/></span> <span class="tag">${word("confidence", x.confidence)}</span>
	${" "}${t("explain.count", { n: x.count, distinct: x.distinct })} · ${word("where", x.where)}${x.part && html` ${x.part}`}${x.name && html` · <${Text} value=${x.name}/>`}
	<div>${(x.masked || []).slice(0, 5).map((m) => html`<mark><${Text} value=${m}/></mark> `)}${x.masked?.length > 5 && html`<span class="quiet">${t("n.more", { n: x.masked.length - 5 })}</span>`}</div></li>`;

/* A rule's conditions in the order they were asked: a sign and a word each, what was found masked. */
const Condition = ({ c }) => html`<li class="condition" data-depth=${c.depth || 0}><${State} state=${"cond-" + (c.held === true ? "held" : c.held === false ? "failed" : "unasked")}/>
	${" "}${c.of !== "when" && !c.depth && html`<span class="tag">${t("explain.of." + c.of)}</span> `}<${Text} value=${c.text}/>${(c.masked || []).map((m) => html` <mark><${Text} value=${m}/></mark>`)}</li>`;
const Conditions = ({ list }) => list.length > 0 && html`<ul class="conditions" aria-label=${t("explain.conditions")}>${list.map((c) => html`<${Condition} c=${c}/>`)}</ul>`;
const told = (record, name) => (record.why || []).find((w) => w.rule === name)?.conditions || [];

/* A rule's conditions where the record has them; the findings it stands on, else all. */
function Hit({ name, record, kind }) {
	const conditions = told(record, name);
	const findings = record.findings || [];
	const own = findings.filter((x) => x.rules ? x.rules.includes(name) : x.rule ? x.rule === name : true);
	const urls = (record.urls || []).filter((u) => u.rule === name);
	return html`<li><${Rule} name=${name} kind=${kind}/><${Conditions} list=${conditions}/><ul>
		${own.map((x) => html`<${Finding} x=${x}/>`)}
		${urls.map((u) => html`<li class="finding"><${Text} value=${u.url}/> – <${Text} value=${u.why}/></li>`)}
		${!conditions.length && !own.length && !urls.length && html`<li class="quiet small">${t("explain.no-finds")}</li>`}</ul></li>`;
}

const Verdict = ({ r, record }) => html`<li class="card"><div class="head2"><h3><${Text} value=${r.address}/></h3><${State} state=${r.outcome}/></div>
	<${Facts} rows=${[[t("explain.reply"), r.reply], [t("explain.for"), r.queue], [t("expires"), r.expires && html`<${Time} value=${r.expires}/>`], [t("explain.on-expire"), word("state", r.on_expire)],
		[t("explain.after"), r.after && word("state", r.after)], [t("explain.tls"), r.require_tls], [t("explain.overridden"), r.overridden?.length && r.overridden.map((o) => `${o.rule}: ${o.reason}`).join("; ")]]}/>
	<ul>${(r.rules || []).map((n) => html`<${Hit} name=${n} record=${record}/>`)}
		${(r.shadow || []).map((n) => html`<${Hit} name=${n} record=${record} kind="shadow"/>`)}
		${(r.skipped || []).map((n) => html`<li><${Rule} name=${n.rule || n} kind="skipped"/><${Conditions} list=${told(record, n.rule || n)}/></li>`)}
		${!(r.rules || []).length && !(r.shadow || []).length && html`<li class="quiet">${t("explain.no-rule")}</li>`}</ul></li>`;

const near = (record) => (record.why || []).filter((w) => w.as === "near" || w.as === "unsure");

export function Explain({ record }) {
	const d = record, ms = d.ms || {};
	return html`<div class="stack">
		${d.virus && html`<${Notice} kind="bad" title=${t("explain.virus")}><p><${Text} value=${d.virus.name}/> – <${Text} value=${d.virus.engine}/>${d.virus.part && html`, ${t("part")} <${Text} value=${d.virus.part}/>`}</p><//>`}
		${d.unscannable && html`<${Notice} kind="warn" title=${t("explain.unscannable")}/>`}
		<ul class="tree">${(d.recipients || []).map((r) => html`<${Verdict} r=${r} record=${d}/>`)}</ul>
		${d.identity && html`<${Section} level=${3} title=${t("explain.identity")}><div class="card"><${Facts} rows=${[["SPF", d.identity.spf], ["DKIM", d.identity.dkim], ["DMARC", d.identity.dmarc], ["ARC", d.identity.arc], [t("explain.dmarc-asks"), d.identity.dmarc_policy]]}/></div><//>`}
		${d.spam && html`<${Section} level=${3} title=${t("explain.spam", { score: f.number(d.spam.score), kind: word("state", d.spam.class) })}><${Table} caption=${t("explain.symbols")} rows=${d.spam.symbols || []} columns=${[
			{ label: t("explain.symbol"), key: "name" }, { label: t("explain.score"), num: true, cell: (s) => f.number(s.score) }, { label: t("explain.means"), wide: true, key: "title" }]}/><//>`}
		${d.defects?.length > 0 && html`<${Section} level=${3} title=${t("explain.defects")}><p>${d.defects.map((x) => html`<span class="tag"><${Text} value=${x}/></span> `)}</p><//>`}
		${near(d).length > 0 && html`<details><summary>${t("explain.nearly", { n: near(d).length })}</summary><ul class="tree">${near(d).map((w) => html`<li><${Rule} name=${w.rule}/> <span class="quiet small"><${Text} value=${w.recipient}/></span><${Conditions} list=${w.conditions || []}/></li>`)}</ul></details>`}
		${d.near_misses?.length > 0 && html`<details><summary>${t("explain.near", { n: d.near_misses.length })}</summary><${Table} caption=${t("explain.near", { n: d.near_misses.length })} rows=${d.near_misses} columns=${[
			{ label: t("rule"), cell: (x) => html`<${Rule} name=${x.rule}/>` }, { label: t("explain.why-not"), wide: true, key: "text" }]}/></details>`}
		${d.parts?.length > 0 && html`<details><summary>${t("explain.parts", { n: d.parts.length })}</summary><${Table} caption=${t("explain.parts", { n: d.parts.length })} rows=${d.parts} columns=${[
			{ label: t("part"), key: "part" }, { label: t("type"), key: "type" }, { label: t("declared"), key: "declared" }, { label: t("name"), wide: true, key: "name" },
			{ label: t("size"), num: true, cell: (p) => f.size(p.size) }, { label: t("encrypted"), cell: (p) => t(p.encrypted ? "yes" : "no") }]}/></details>`}
		${d.edits?.length > 0 && html`<details open><summary>${t("explain.edits", { n: d.edits.length })}</summary><${Table} caption=${t("explain.edits", { n: d.edits.length })} rows=${d.edits} columns=${[
			{ label: t("act"), key: "action" }, { label: t("part"), key: "part" }, { label: t("rule"), key: "rule" }, { label: t("explain.with"), wide: true, key: "with" }]}/></details>`}
		${d.notices?.length > 0 && html`<details><summary>${t("explain.notices", { n: d.notices.length })}</summary><${Table} caption=${t("explain.notices", { n: d.notices.length })} rows=${d.notices} columns=${[
			{ label: t("to"), wide: true, key: "to" }, { label: t("rule"), key: "rule" }, { label: t("explain.template"), key: "template" }]}/></details>`}
		<p class="quiet small">${t("explain.policy")} <code>${d.policy}</code>${Object.keys(ms).length > 0 && html` · ${Object.entries(ms).map(([k, v]) => `${k} ${f.number(v)} ms`).join(" · ")}`}</p></div>`;
}
