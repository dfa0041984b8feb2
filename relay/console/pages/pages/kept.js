/* kept.js -- holds and quarantine, of the administrator (all, or of its domains) and of a user (`mine`).
 *
 *	#/kept?kind=hold&q=…	the list		#/kept/KID	one, with a preview
 *
 * A preview is text that the server made safe; it is shown as text. What is decided goes by the ids that were chosen
 * and counted before.
 */
import { html, go, href, useEffect, useState } from "../base.js";
import { joined, may, seg, send, useApi } from "../api.js";
import { t, word } from "../words.js";
import { Addresses, Empty, Facts, Head, Id, Loaded, Notice, Section, State, Table, Text, Time, say } from "../ui.js";
import { act, Act, ask, Pager, Search, Select } from "../forms.js";
import { Explain } from "../explain.js";
import * as f from "../format.js";

const KINDS = ["hold", "quarantine"];
const STATES = ["waiting", "all", "released", "rejected", "deleted"];
const open = (x) => x.state === "waiting" || x.state === undefined;

/* What one may do with these: a user asks, or releases where the server lets it. */
export function verbs(mine, kind) {
	if (mine && !may("act:kept"))
		return ["release", "request", "delete"];
	if (!may("act:kept"))
		return [];
	return kind === "quarantine" ? ["release", "rescan", "confirm", "delete"] : ["release", "reject", "delete"];
}
const NEEDS_REASON = { reject: "needed", delete: "asked", release: "asked", confirm: "asked", request: "asked" };

/* What the server does only after a moment, in which it can be taken back. */
const LATER = { release: true, reject: true, delete: true };

async function take_back(kids, reload) {
	const done = await act(() => send("POST", "/kept/undo", { kids }));
	if (!done)
		return;
	const bad = (done.items || []).filter((x) => !x.ok);
	say(bad.length ? t("kept.partly", { n: bad.length, text: bad[0].error || "" }) : t("kept.done.undo", { n: kids.length }));
	reload(new Set());
}

export async function decide(verb, items, reload) {
	const n = items.length;
	const r = verb === "rescan" ? {} : await ask({
		title: t("kept.ask." + verb, { n }), text: t("kept.ask." + verb + ".what"), ok: t("kept." + verb), danger: verb === "delete" || verb === "reject",
		reason: NEEDS_REASON[verb], least: 3, list: items.map((x) => `${x.sender || t("null-sender")} – ${x.subject || ""}`),
		warn: verb === "release" && items.some((x) => x.virus || x.queue === "virus") && t("kept.virus.warn") });
	if (!r)
		return;
	const done = await act(() => send("POST", "/kept/" + verb, { kids: items.map((x) => x.kid), ...(LATER[verb] ? { undo: true } : {}), ...(r.reason ? { reason: r.reason } : {}) }));
	if (!done)
		return;
	const bad = (done.items || []).filter((x) => !x.ok), later = (done.items || []).filter((x) => x.ok && x.state === "pending");
	const undo = later.length > 0 && { until: Math.min(...later.map((x) => x.until)), act: () => take_back(later.map((x) => x.kid), reload) };
	say(bad.length ? t("kept.partly", { n: bad.length, text: bad[0].error || "" }) : t((later.length ? "kept.later." : "kept.done.") + verb, { n }), undo || undefined);
	reload(new Set(bad.map((x) => x.kid)));
}

const Votes = ({ x }) => (x.approvals || []).filter((a) => a.needed > 0).map((a) => html`<span class="tag">${t("kept.votes", { given: a.given, needed: a.needed })}</span> `);

function List({ query, mine, base }) {
	const kind = KINDS.includes(query.kind) ? query.kind : mine || base === "quarantine" ? "quarantine" : "hold";
	const state = STATES.includes(query.state) ? query.state : "waiting";
	const [chosen, choose] = useState(new Set());
	const asked = { kind, q: query.q, queue: query.queue, state, asked: query.asked === "true" ? "true" : undefined, limit: 50, before: query.before };
	const from = useApi("/kept", asked);
	const link = (x) => href([base], { ...query, kind, state: state === "waiting" ? undefined : state, before: undefined, ...x });
	useEffect(() => choose(new Set()), [JSON.stringify(asked)]);
	const items = from.data?.items || [];
	const picked = items.filter((x) => chosen.has(x.kid));
	const can = verbs(mine, kind);
	const over = (left) => {		/* the button that was pressed goes with its bar */
		document.querySelector("#main h1")?.focus();
		choose(left);
		from.reload();
	};
	return html`<nav class="tabs" aria-label=${t("kept.kind")}>${KINDS.map((k) => html`<a href=${href([base], { kind: k })} aria-current=${k === kind ? "page" : undefined}>${t("kept.kind." + k)}</a>`)}</nav>
	<${Search} label=${t("kept.field")} value=${query.q} onSearch=${(q) => go([base], { ...query, kind, q, before: undefined })}>
		<${Select} label=${t("state")} value=${state} options=${STATES.map((s) => [s, t("kept.state." + s)])} onChange=${(s) => go([base], { ...query, kind, state: s === "waiting" ? undefined : s, before: undefined })}/><//>
	${query.queue && html`<p><span class="tag">${t("kept.queue")}: <${Text} value=${query.queue}/></span> <a href=${link({ queue: undefined })}>${t("kept.queue.all")}</a></p>`}
	${query.asked === "true" && html`<p><span class="tag">${t("kept.asked")}</span> <a href=${link({ asked: undefined })}>${t("kept.asked.all")}</a></p>`}
	<${Loaded} from=${from}>${(d) => html`
		<${Table} caption=${t("kept.kind." + kind)} rows=${d.items || []} id=${(x) => x.kid} chosen=${can.length ? chosen : undefined} choose=${choose} label=${(x) => x.subject || x.id}
			empty=${html`<${Empty} title=${t(query.q ? "kept.none-found" : "kept.none." + kind)}>${t(query.q ? "kept.none-found.do" : mine ? "kept.none.mine" : "kept.none." + kind + ".do")}<//>`} columns=${[
			{ label: t("time"), tight: true, cell: (x) => html`<${Time} value=${x.time}/>` },
			{ label: t("subject"), wide: true, cell: (x) => html`<a href=${href([base, x.kid])}>${x.subject ? html`<${Text} value=${x.subject}/>` : t("no-subject")}</a>` },
			{ label: t("from"), wide: true, cell: (x) => (x.sender === "" ? html`<span class="quiet">${t("null-sender")}</span>` : html`<${Text} value=${x.sender}/>`) },
			{ label: t("to"), wide: true, cell: (x) => html`<span><${Addresses} list=${x.recipients} max=${2}/></span>`, hide: mine },
			{ label: t("kept.queue"), cell: (x) => html`<span><a href=${link({ queue: x.queue })}><${Text} value=${x.queue}/></a> <${Votes} x=${x}/></span>` },
			{ label: t("state"), tight: true, cell: (x) => html`<${State} state=${x.pending ? "pending" : x.requested ? "requested" : x.state}/>` },
			{ label: t("expires"), tight: true, cell: (x) => html`<${Time} value=${x.expires} relative/>` },
			{ label: t("size"), num: true, tight: true, cell: (x) => f.size(x.size) },
		]}/>
		<${Pager} data=${d} query=${query} link=${(x) => href([base], x)}/>`}<//>
	${picked.length > 0 && html`<div class="bulk" role="region" aria-label=${t("kept.chosen", { n: picked.length })}><span class="strong">${t("kept.chosen", { n: picked.length })}</span>
		${can.map((v) => html`<${Act} kind=${v === "release" ? "main" : v === "delete" || v === "reject" ? "danger" : undefined} onAct=${() => decide(v, picked, over)}>${t("kept." + v)}<//>`)}
		<button type="button" class="plain" onClick=${() => choose(new Set())}>${t("kept.unchoose")}</button></div>`}`;
}

function Preview({ kid }) {
	const from = useApi("/kept/" + seg(kid) + "/preview");
	return html`<${Loaded} from=${from}>${(d) => html`<div class="stack">
		<${Notice}><p>${t("kept.preview.safe")}</p><//>
		<div class="card"><${Facts} rows=${(d.headers || []).map((h) => [html`<${Text} value=${h.name}/>`, h.value])}/></div>
		<div class="safetext" tabindex="0" role="region" aria-label=${t("kept.preview")}><${Text} value=${d.text} lines/></div>
		${d.truncated && html`<p class="quiet">${t("kept.preview.cut")}</p>`}
		${d.parts?.length > 0 && html`<${Table} caption=${t("kept.parts")} rows=${d.parts} columns=${[{ label: t("part"), key: "part" }, { label: t("name"), wide: true, key: "name" }, { label: t("type"), key: "type" }, { label: t("size"), num: true, cell: (p) => f.size(p.size) }]}/>`}</div>`}<//>`;
}

function One({ kid, mine, base }) {
	const from = useApi("/kept/" + seg(kid));
	const [seen, see] = useState(false);
	return html`<${Loaded} from=${from}>${(d) => {
		const x = { kid, ...joined(d) };
		const can = open(x) && !x.pending ? verbs(mine, x.kind) : [];
		return html`<section class="card stack"><div class="head2"><h2><${Text} value=${x.subject}/></h2><${State} state=${x.state}/></div>
			<${Facts} rows=${[[t("from"), x.sender === "" ? t("null-sender") : x.sender], [t("to"), html`<${Addresses} list=${x.recipients} max=${20}/>`], [t("received"), html`<${Time} value=${x.time} seconds/>`], [t("kept.queue"), x.queue], [t("explain.virus"), x.virus], [t("kept.class"), x.class && word("state", x.class)],
				[t("client"), x.client], [t("expires"), x.expires && html`<${Time} value=${x.expires}/>`], [t("explain.on-expire"), x.on_expire && word("state", x.on_expire)], [t("kept.by"), x.by], [t("kept.decided"), x.decided && html`<${Time} value=${x.decided}/>`],
				[t("size"), f.size(x.size)], [t("id"), may("trace") ? html`<${Id} id=${x.id}/>` : x.id], [t("kept.new"), x.new_id && html`<${Id} id=${x.new_id}/>`], [t("kept.reason"), x.reason]]}/>
			${x.pending && html`<${Notice} kind="warn" title=${t("kept.pending." + x.pending.verb)}><p><${Text} value=${x.pending.by}/> · <${Time} value=${x.pending.until} seconds/></p>
				<div class="acts"><${Act} onAct=${() => take_back([kid], from.reload)}>${t("undo")}<//></div><//>`}
			${(x.approvals || []).filter((a) => a.needed > 0).map((a) => html`<${Notice} kind="warn" title=${t("kept.votes", { given: a.given, needed: a.needed })}><p>${t("rule")}: <${Text} value=${a.rule}/>${a.approvers?.length > 0 && html` · <${Addresses} list=${a.approvers} max=${6}/>`}</p>
				${may("act:kept") && open(x) && html`<div class="acts"><${Act} kind="main" onAct=${() => vote("approve", x, from.reload)}>${t("kept.approve")}<//><${Act} kind="danger" onAct=${() => vote("deny", x, from.reload)}>${t("kept.deny")}<//></div>`}<//>`)}
			${(x.votes || []).length > 0 && html`<ul class="plainlist">${x.votes.map((v) => html`<li><${Text} value=${v.by || v.address}/>: ${word("state", v.decision || (v.yes ? "released" : "rejected"))} <${Text} value=${v.reason}/></li>`)}</ul>`}
			${can.length > 0 && html`<div class="acts">${can.map((v) => html`<${Act} kind=${v === "release" ? "main" : v === "delete" || v === "reject" ? "danger" : undefined} onAct=${() => decide(v, [x], from.reload)}>${t("kept." + v)}<//>`)}</div>`}</section>
		${may("see:contents") && html`<${Section} title=${t("kept.preview")}>${seen ? html`<${Preview} kid=${kid}/>` : html`<button type="button" onClick=${() => see(true)}>${t("kept.preview.show")}</button>`}<//>`}
		${x.record && html`<${Section} title=${t("explain.why")}><${Explain} record=${x.record}/><//>`}`;
	}}<//>`;
}

async function vote(what, x, reload) {
	const r = await ask({ title: t("kept.ask." + what), text: t("kept.ask." + what + ".what"), ok: t("kept." + what), danger: what === "deny", reason: what === "deny" ? "needed" : "asked", least: 3 });
	if (r && await act(() => send("POST", "/kept/" + what, { kid: x.kid, ...(r.reason ? { reason: r.reason } : {}) }), t("kept.done." + what)))
		reload();
}

export function Kept({ path, query, mine, base }) {
	const one = path[1];
	return html`<${Head} title=${t(mine ? "nav.mine" : "nav.kept")} lead=${t(mine ? "kept.lead.mine" : "kept.lead")}>${one && html`<a class="button" href=${href([base])}>${t("back")}</a>`}<//>
		${one ? html`<${One} key=${one} kid=${one} mine=${mine} base=${base}/>` : html`<${List} query=${query} mine=${mine} base=${base}/>`}`;
}

export default ({ path, query, name }) => html`<${Kept} path=${path} query=${query} base=${name === "held" ? "kept" : name}/>`;
