/* queue.js -- what waits to be delivered: by site, sender or reason; the messages of one; one message.
 *
 * An act on many asks the server for how many it would be, shows that, and only then does it.
 */
import { html, go, href } from "../base.js";
import { may, seg, send, useApi } from "../api.js";
import { t, word } from "../words.js";
import { Empty, Facts, Head, Id, Loaded, Section, State, Table, Text, Time, Addresses } from "../ui.js";
import { act, Act, ask, Search } from "../forms.js";
import * as f from "../format.js";

const VERBS = ["retry", "hold", "release", "fail"];

async function all(verb, selector, reload) {
	const counted = await act(() => send("POST", "/queue/" + verb, { selector, count: true }));
	if (!counted)
		return;
	const n = counted.matched ?? counted.count ?? 0;
	const r = await ask({ title: t("queue.ask." + verb, { n }), text: t("queue.ask." + verb + ".what"), list: [selector], ok: t("queue." + verb), danger: verb === "fail", warn: verb === "fail" && t("queue.ask.fail.warn") });
	if (r && await act(() => send("POST", "/queue/" + verb, { selector }), (a) => t("queue.done." + verb, { n: a.done ?? a.count ?? n })))
		reload();
}

async function pause(site, on, reload) {
	const r = on ? await ask({ title: t("queue.ask.pause", { site }), text: t("queue.ask.pause.what"), ok: t("queue.pause") }) : true;
	if (r && await act(() => send("POST", on ? "/queue/pause" : "/queue/resume", { site }), t(on ? "queue.done.pause" : "queue.done.resume", { site })))
		reload();
}

const Verbs = ({ selector, reload, small, few }) => may("act:queue") && html`<span class="acts">${(few || VERBS).map((v) => html`<${Act} small=${small} kind=${v === "fail" ? "danger" : undefined}
	onAct=${() => all(v, selector, reload)}>${t("queue." + v)}<//>`)}</span>`;

/* What the selector means to queue.c: see its words. */
const SELECTS = { site: (x) => "site=" + x.site, sender: (x) => "from=" + (x.sender || "<>"), reason: (x) => (x.reason && !x.reason.includes(",") ? "reason=" + x.reason : null) };

function Groups({ by }) {
	const from = useApi("/queue", { by }, { every: 20 });
	const select = SELECTS[by];
	return html`<${Loaded} from=${from}>${(d) => html`<${Table} caption=${t("queue.by." + by)} rows=${d.items || []} id=${(x) => x[by]} empty=${html`<${Empty} title=${t("queue.none")}>${t("queue.none.do")}<//>`} columns=${[
		{ label: t("queue.of." + by), wide: true, cell: (x) => (select(x) ? html`<a href=${href(["queue"], { by, of: select(x) })}><${Text} value=${x[by]}/></a>` : html`<${Text} value=${x[by]}/>`) },
		{ label: t("queue.messages"), num: true, cell: (x) => f.number(x.messages) },
		by === "site" && { label: t("state"), tight: true, cell: (x) => (x.paused ? html`<${State} state="paused"/>` : x.failures ? html`<${State} state="deferred" label=${word("class", x.last)}/>` : html`<${State} state="ok" label=${t("queue.flows")}/>`) },
		by === "site" && { label: t("queue.deferred"), num: true, cell: (x) => f.number(x.deferred) },
		by === "site" && { label: t("queue.active"), num: true, cell: (x) => `${f.number(x.active)} / ${f.number(x.window)}` },
		by === "site" && { label: t("queue.next"), tight: true, cell: (x) => html`<${Time} value=${x.next || x.rests_until} relative/>` },
		{ label: t("queue.oldest"), tight: true, cell: (x) => html`<${Time} value=${x.oldest} relative/>`, hide: !(d.items || []).some((x) => x.oldest) },
		{ label: t("size"), num: true, cell: (x) => f.size(x.bytes), hide: !(d.items || []).some((x) => x.bytes) },
		by === "site" && may("act:queue") && { label: t("acts"), cell: (x) => html`<span class="acts"><${Act} small onAct=${() => all("retry", select(x), from.reload)}>${t("queue.retry")}<//>
			<${Act} small onAct=${() => pause(x.site, !x.paused, from.reload)}>${t(x.paused ? "queue.resume" : "queue.pause")}<//></span>` },
	]}/>`}<//>`;
}

/* Of a message's legs: the first that waits says why. */
const waits = (m) => (m.legs || []).find((l) => l.state !== "done") || m.legs?.[0] || {};

function Messages({ of, by }) {
	const from = useApi("/queue/messages", { selector: of }, { every: 20 });
	return html`<${Section} title=${html`<${Text} value=${of}/>`} acts=${html`<${Verbs} selector=${of} reload=${from.reload}/>`}>
	<${Loaded} from=${from}>${(d) => html`<${Table} caption=${of} rows=${d.items || []} id=${(m) => m.id} empty=${html`<${Empty} title=${t("queue.none-of")}>${t("queue.none-of.do")}<//>`} columns=${[
		{ label: t("id"), tight: true, cell: (m) => html`<a class="id" href=${href(["queue"], { by, of, show: m.id })}>${m.id}</a>` },
		{ label: t("received"), tight: true, cell: (m) => html`<${Time} value=${m.received} seconds/>` },
		{ label: t("from"), wide: true, cell: (m) => (m.sender === "" ? html`<span class="quiet">${t("null-sender")}</span>` : html`<${Text} value=${m.sender}/>`) },
		{ label: t("to"), wide: true, cell: (m) => html`<span><${Addresses} list=${(m.legs || []).flatMap((l) => (l.recipients || []).map((r) => r.address))} max=${2}/></span>` },
		{ label: t("queue.why"), wide: true, cell: (m) => html`<span><${State} state=${m.held ? "held" : waits(m).state} label=${m.held ? t("queue.held") : undefined}/> <span class="quiet small"><${Text} value=${waits(m).why}/></span></span>` },
		{ label: t("queue.next"), tight: true, cell: (m) => html`<${Time} value=${waits(m).next} relative/>` },
		{ label: t("size"), num: true, tight: true, cell: (m) => f.size(m.size) },
	]}/>`}<//><//>`;
}

const Leg = ({ l }) => html`<section class="card stack"><div class="head2"><h3><${Text} value=${l.site || l.kind}/></h3><${State} state=${l.state}/></div>
	<p><${Text} value=${l.why}/></p>
	<${Facts} rows=${[[t("queue.attempts"), l.attempts], [t("queue.next"), l.next && html`<${Time} value=${l.next} seconds/> (<${Time} value=${l.next} relative/>)`], [t("queue.last"), l.last && word("class", l.last)],
		[t("queue.route"), l.route], [t("queue.curve"), l.retry?.curve && `${l.retry.phrase || l.retry.class}: ${l.retry.curve.map(f.span).join(", ")}`], [t("queue.rests"), l.rests_until && html`<${Time} value=${l.rests_until} relative/>`]]}/>
	${(l.recipients || []).map((r) => html`<div><p class="what"><${Text} value=${r.address}/> ${" "}<${State} state=${r.status}/> ${r.dsn && html`<code>${r.dsn}</code>`} ${r.relay && html`<span class="quiet small">${t("via")} <${Text} value=${r.relay}/></span>`}</p>
		${r.reply && html`<span class="reply"><${Text} value=${r.reply} lines/></span>`}</div>`)}</section>`;

function One({ id, back }) {
	const from = useApi("/queue/messages/" + seg(id));
	return html`<${Section} title=${html`<span class="id">${id}</span>`} acts=${html`<span class="acts"><a class="button" href=${back}>${t("back")}</a><a class="button" href=${href(["messages", id])}>${t("queue.journal")}</a><${Verbs} selector=${id} reload=${from.reload}/></span>`}>
	<${Loaded} from=${from}>${(d) => {
		const m = d;
		return html`<div class="stack"><section class="card"><${Facts} rows=${[[t("from"), m.sender === "" ? t("null-sender") : m.sender], [t("received"), html`<${Time} value=${m.received} seconds/>`], [t("expires"), m.expires && html`<${Time} value=${m.expires}/>`],
			[t("size"), f.size(m.size)], [t("queue.held"), t(m.held ? "yes" : "no")], [t("parent"), m.parent && html`<${Id} id=${m.parent}/>`]]}/></section>
			<div class="two">${(m.legs || []).map((l) => html`<${Leg} l=${l}/>`)}</div></div>`;
	}}<//><//>`;
}

export default function Queue({ query }) {
	const by = ["site", "sender", "reason"].includes(query.by) ? query.by : "site";
	return html`<${Head} title=${t("nav.queue")} lead=${t("queue.lead")}/>
	<div class="filters"><nav class="tabs" aria-label=${t("queue.group")}>${["site", "sender", "reason"].map((x) => html`<a href=${href(["queue"], { by: x })} aria-current=${x === by && !query.of && !query.show ? "page" : undefined}>${t("queue.by." + x)}</a>`)}</nav></div>
	<${Search} label=${t("queue.select")} hint=${t("queue.select.hint")} value=${query.of} onSearch=${(of) => go(["queue"], { by, of })}/>
	${query.show ? html`<${One} key=${query.show} id=${query.show} back=${href(["queue"], { by, of: query.of })}/>` : query.of ? html`<${Messages} key=${query.of} of=${query.of} by=${by}/>` : html`<${Groups} key=${by} by=${by}/>`}`;
}
