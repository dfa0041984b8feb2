/* overview.js -- what needs somebody, then the last 24 hours. */
import { html, inward } from "../base.js";
import { may, useApi } from "../api.js";
import { t } from "../words.js";
import { Empty, Head, Icon, Loaded, Notice, Section, Table, Text, Time } from "../ui.js";
import { Chart, Legend } from "../chart.js";
import * as f from "../format.js";

const MOVED = [["received", 1], ["delivered", 2]];
const STOPPED = [["deferred", 3], ["held", 4], ["quarantined", 5], ["rejected", 6]];
/* Words where the server says what it needs by kind; otherwise its own. */
const KINDS = ["held", "quarantine", "requests", "incidents", "approvals", "lists", "deferred", "paused"];

function Needs({ list }) {
	if (!list.length)
		return html`<${Empty} title=${t("overview.quiet")}>${t("overview.quiet.do")}<//>`;
	return html`<ul class="needs">${list.map((n) => {
		const to = inward(n.href);
		const text = html`${n.bad ? html`<span class="bad"><${Icon} name="warn"/></span>` : ""}<span class="count">${typeof n.count === "number" ? f.number(n.count) + (n.more ? "+" : "") : html`<${Icon} name="warn"/>`}</span>
			<span>${KINDS.includes(n.kind) && typeof n.count === "number" ? t("needs." + n.kind, { n: n.count }) : html`<${Text} value=${n.text || n.kind}/>`}</span>`;
		return html`<li>${to ? html`<a href=${to}>${text}<span class="go">${t("open")} →</span></a>` : html`<span class="row">${text}</span>`}</li>`;
	})}</ul>`;
}

function Hours({ title, series, hours }) {
	const rows = series.map(([name, colour]) => ({ name: t("hours." + name), colour, values: hours.map((h) => h[name] || 0) }));
	const sum = (v) => v.reduce((a, b) => a + b, 0);
	return html`<section class="card stack"><h2>${title}</h2>
		<${Legend} rows=${rows.map((r) => ({ ...r, value: f.number(sum(r.values)) }))}/>
		<${Chart} times=${hours.map((h) => f.date(h.t).getTime() / 1000)} rows=${rows} label=${title + ": " + rows.map((r) => r.name + " " + f.number(sum(r.values))).join(", ")}/>
		<details><summary>${t("as-table")}</summary><${Table} caption=${title} rows=${hours.filter((h) => series.some(([n]) => h[n]))} empty=${html`<p class="quiet">${t("overview.no-mail")}</p>`} columns=${[
			{ label: t("hour"), cell: (h) => f.moment(h.t) }, ...series.map(([n]) => ({ label: t("hours." + n), num: true, cell: (h) => f.number(h[n] || 0) }))]}/></details></section>`;
}

export default function Overview() {
	const from = useApi("/overview", undefined, { every: 30 });
	return html`<${Head} title=${t("nav.overview")} lead=${from.at && html`${t("updated")} <${Time} value=${from.at} seconds/>`}>
		<button type="button" onClick=${from.reload}>${t("reload")}</button><//>
	<${Loaded} from=${from}>${(d) => html`
		${(d.alarms || []).map((a) => html`<${Notice} kind="bad" title=${html`<${Text} value=${a.text || a.name || a}/>`}>${a.since && html`<p>${t("since")} <${Time} value=${a.since}/></p>`}<//>`)}
		<${Section} title=${t("overview.needs")}><${Needs} list=${d.needs || []}/><//>
		${d.hours && html`<div class="two"><${Hours} title=${t("overview.moved")} series=${MOVED} hours=${d.hours}/><${Hours} title=${t("overview.stopped")} series=${STOPPED} hours=${d.hours}/></div>`}
		${d.queue && html`<section class="card"><h2 class="unseen">${t("overview.now")}</h2><dl class="figures">
			${[["queue.messages", d.queue?.messages, "queue"], ["queue.active", d.queue?.active, "queue"], ["queue.held", d.queue?.held, "queue"], ["queue.sites", d.queue?.sites, "queue"]].map(([k, v]) =>
				typeof v === "number" && html`<div><dt>${t(k)}</dt><dd>${may("queue") ? html`<a href="#/queue">${f.number(v)}</a>` : f.number(v)}</dd></div>`)}
			${d.queue?.oldest && html`<div><dt>${t("queue.oldest")}</dt><dd><${Time} value=${d.queue.oldest} relative/></dd></div>`}
		</dl></section>`}
		<p class="quiet small">Postern ${d.version} ${d.hostname && html`· <${Text} value=${d.hostname}/>`}</p>`}<//>`;
}
