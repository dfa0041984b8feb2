/* health.js -- how the gateway itself is: its processes, what doctor says, what it counted. */
import { html } from "../base.js";
import { useApi } from "../api.js";
import { t } from "../words.js";
import { Empty, Facts, Head, Loaded, Notice, Section, State, Table, Text, Time } from "../ui.js";
import * as f from "../format.js";

const RANK = { wrong: 0, other: 1, note: 2, ok: 3 };

export default function Health() {
	const from = useApi("/health", undefined, { every: 30 });
	return html`<${Head} title=${t("nav.health")} lead=${from.at && html`${t("updated")} <${Time} value=${from.at} seconds/>`}><button type="button" onClick=${from.reload}>${t("reload")}</button><//>
	<${Loaded} from=${from}>${(d) => {
		const s = d.status || d, rows = d.doctor || d.rows || d.items || d.checks || [];
		const bad = rows.filter((r) => r.verdict === "wrong").length;
		return html`
		${(s.attention || []).map((a) => html`<${Notice} kind=${a.bad ? "bad" : "info"} title=${html`<${Text} value=${a.text}/>`}/>`)}
		<section class="card"><${Facts} rows=${[[t("health.host"), s.hostname], [t("health.version"), s.version], [t("health.state"), s.state && html`<${State} state=${s.state === "running" ? "ok" : s.state} label=${s.state}/>`], [t("health.uptime"), typeof s.uptime === "number" ? f.span(s.uptime) : null],
			[t("health.antivirus"), s.antivirus && html`<${Text} value=${s.antivirus.engine}/> · ${t("health.signatures")} <${Time} value=${s.antivirus.made} relative/>`],
			[t("health.disk"), s.queue?.spool && f.size(s.queue.spool.free_bytes)], [t("health.waits"), s.queue && f.number(s.queue.messages)], [t("health.reload"), s.reload?.refused]]}/></section>
		<${Section} title=${bad ? t("health.wrong", { n: bad }) : t("health.checks")}><${Table} caption=${t("health.checks")} rows=${[...rows].sort((a, b) => (RANK[a.verdict] ?? 1) - (RANK[b.verdict] ?? 1))}
			empty=${html`<${Empty} title=${t("health.none")}>${t("health.none.do")}<//>`} columns=${[{ label: t("state"), tight: true, cell: (r) => html`<${State} state=${r.verdict}/>` }, { label: t("health.topic"), key: "topic" }, { label: t("health.detail"), wide: true, full: true, key: "detail" }]}/><//>
		${s.processes?.length > 0 && html`<${Section} title=${t("health.processes")}><${Table} caption=${t("health.processes")} rows=${s.processes} columns=${[{ label: t("health.role"), cell: (p) => html`<${Text} value=${p.role}/>${p.worker && html` <span class="tag">${t("health.worker")}</span>`}` },
			{ label: t("state"), tight: true, cell: (p) => html`<${State} state=${p.state}/>` }, { label: "pid", num: true, cell: (p) => String(p.pid) }, { label: t("health.since"), num: true, cell: (p) => f.span(p.seconds || 0) }]}/><//>`}
		${s.counters && html`<details><summary>${t("health.counters")}</summary><${Table} caption=${t("health.counters")} rows=${Object.entries(s.counters).filter(([, v]) => v)} columns=${[{ label: t("name"), wide: true, cell: ([k]) => html`<code>${k}</code>` }, { label: t("health.value"), num: true, cell: ([, v]) => f.number(v) }]}/></details>`}`;
	}}<//>`;
}
