/* incidents.js -- what rules found, masked. To see it unmasked takes a role and a reason, and is written down. */
import { html, go, href, useState } from "../base.js";
import { joined, may, seg, send, useApi } from "../api.js";
import { t, word } from "../words.js";
import { Addresses, Empty, Facts, Head, Id, Loaded, Notice, Section, State, Table, Text, Time } from "../ui.js";
import { act, Act, ask, Field, Pager, Search, Select } from "../forms.js";

const RESOLUTIONS = ["true", "false", "accepted", "duplicate", "other"];
const Rules = ({ x, query }) => (x.rules || []).map((r, i) => html`${i ? ", " : ""}<a href=${href(["incidents"], { ...query, rule: r, before: undefined })}><${Text} value=${r}/></a>`);
/* findings of a record: masked, or (revealed) with their values */
const Findings = ({ list }) => html`<div class="stack">${(list || []).map((s) => html`<div class="finding"><span class="strong"><${Text} value=${s.detector}/></span>${s.confidence && html` <span class="tag">${word("confidence", s.confidence)}</span>`}${s.where && html` · ${word("where", s.where)} ${s.part}`}${s.name && html` · <${Text} value=${s.name}/>`}
	<div>${(s.values || s.masked || []).slice(0, 50).map((m) => html`<mark><${Text} value=${typeof m === "object" && m ? m.text ?? m.value : m} lines/></mark> `)}</div></div>`)}</div>`;

function Close({ x, reload }) {
	const [resolution, set] = useState("true"), [note, note_set] = useState("");
	return html`<${Section} title=${t("incidents.close")} level=${3}><form class="form" onSubmit=${async (e) => {
		e.preventDefault();
		if (await act(() => send("POST", `/incidents/${seg(x.id)}/close`, { resolution, note: note.trim() }), t("incidents.closed")))
			reload();
	}}><${Select} label=${t("incidents.resolution")} value=${resolution} options=${RESOLUTIONS.map((r) => [r, t("incidents.resolution." + r)])} onChange=${set}/>
		<${Field} label=${t("incidents.note")}>${(p) => html`<textarea ...${p} rows="3" maxlength="1000" value=${note} onInput=${(e) => note_set(e.target.value)}></textarea>`}<//>
		<div class="acts"><button class="main">${t("incidents.close")}</button></div></form><//>`;
}

function One({ id }) {
	const from = useApi("/incidents/" + seg(id));
	const [bare, show] = useState(null);
	return html`<${Loaded} from=${from}>${(d) => {
		const x = { id, ...joined(d) };
		return html`<section class="card stack"><div class="head2"><h2><${Rules} x=${x} query=${{}}/></h2><${State} state=${x.state} label=${word("incident", x.state)}/></div>
			<${Facts} rows=${[[t("time"), html`<${Time} value=${x.time} seconds/>`], [t("from"), x.sender], [t("to"), html`<${Addresses} list=${x.recipients} max=${20}/>`], [t("subject"), x.subject], [t("message"), html`<${Id} id=${x.message}/>`], [t("nav.kept"), x.kid && html`<a href=${href(["kept", x.kid])}>${t("open")}</a>`],
				[t("incidents.severity"), word("severity", x.severity)], [t("incidents.outcome"), x.outcome && html`<${State} state=${x.outcome}/>`], [t("incidents.resolution"), x.resolution && word("incidents.resolution", x.resolution)], [t("incidents.note"), x.note], [t("incidents.closed-by"), x.closed_by ?? x.by]]}/></section>
		<${Section} title=${t("incidents.evidence")} acts=${may("act:incidents") && !bare && x.kept !== false && html`<${Act} onAct=${async () => {
			const r = await ask({ title: t("incidents.reveal.ask"), text: t("incidents.reveal.what"), warn: t("incidents.reveal.audited"), ok: t("incidents.reveal"), reason: "needed", least: 10, label: t("incidents.reveal.reason") });
			const got = r && await act(() => send("POST", `/incidents/${seg(id)}/reveal`, { reason: r.reason }), t("incidents.revealed"));
			got && show(got);
		}}>${t("incidents.reveal")}<//>`}>
			${bare ? html`<div class="stack"><${Notice} kind="warn" title=${t("incidents.revealed")}><p>${t("incidents.reveal.audited")}</p><//>
				<div class="safetext" role="region" aria-label=${t("incidents.evidence")} tabindex="0">${html`<${Findings} list=${bare.evidence?.findings || bare.findings}/>`}</div>
				<div><button type="button" onClick=${() => show(null)}>${t("incidents.hide")}</button></div></div>` : html`<div class="card">${x.findings?.length ? html`<${Findings} list=${x.findings}/>` : html`<p class="quiet">${t("explain.no-finds")}</p>`}</div>${x.kept === false && html`<p class="quiet small">${t("incidents.not-kept")}</p>`}`}<//>
		${may("act:incidents") && x.state !== "closed" && html`<${Close} x=${x} reload=${from.reload}/>`}`;
	}}<//>`;
}

function List({ query }) {
	const state = query.state === "closed" ? "closed" : "open";
	const from = useApi("/incidents", { q: query.q, rule: query.rule, state, before: query.before });
	return html`<nav class="tabs" aria-label=${t("state")}>${["open", "closed"].map((s) => html`<a href=${href(["incidents"], { state: s })} aria-current=${s === state ? "page" : undefined}>${t("incident." + s)}</a>`)}</nav>
	<${Search} label=${t("incidents.field")} value=${query.q} onSearch=${(q) => go(["incidents"], { ...query, q, before: undefined })}/>
	${query.rule && html`<p><span class="tag">${t("rule")}: <${Text} value=${query.rule}/></span> <a href=${href(["incidents"], { ...query, rule: undefined })}>${t("incidents.all-rules")}</a></p>`}
	<${Loaded} from=${from}>${(d) => html`<${Table} caption=${t("nav.incidents")} rows=${d.items || []} id=${(x) => x.id} empty=${html`<${Empty} title=${t("incidents.none." + state)}>${t("incidents.none.do")}<//>`} columns=${[
		{ label: t("time"), tight: true, cell: (x) => html`<a href=${href(["incidents", x.id])}><${Time} value=${x.time}/></a>` },
		{ label: t("rule"), cell: (x) => html`<span><${Rules} x=${x} query=${query}/></span>` },
		{ label: t("incidents.outcome"), tight: true, cell: (x) => html`<${State} state=${x.outcome}/>` },
		{ label: t("from"), wide: true, key: "sender" },
		{ label: t("to"), wide: true, cell: (x) => html`<span><${Addresses} list=${x.recipients} max=${2}/></span>` },
		{ label: t("incidents.evidence"), wide: true, cell: (x) => html`<${Findings} list=${x.findings}/>` },
		{ label: t("state"), tight: true, cell: (x) => html`<${State} state=${x.state} label=${word("incident", x.state)}/>` },
	]}/><${Pager} data=${d} query=${query} link=${(x) => href(["incidents"], x)}/>`}<//>`;
}

export default ({ path, query }) => html`<${Head} title=${t("nav.incidents")} lead=${t("incidents.lead")}>${path[1] && html`<a class="button" href="#/incidents">${t("back")}</a>`}<//>
	${path[1] ? html`<${One} key=${path[1]} id=${path[1]}/>` : html`<${List} query=${query}/>`}`;
