/* live.js -- the journal as it is written (server-sent events). No more than SHOWN are kept; while it is paused they are counted. */
import { html, go, useEffect, useMemo, useRef, useState } from "../base.js";
import { t, word } from "../words.js";
import { Empty, Head, Id, Notice, State, Table, Text, Time, Addresses } from "../ui.js";
import { Search, Select } from "../forms.js";

const SHOWN = 300, TICK = 250;	/* rows; ms between two paintings */
const KINDS = ["accepted", "sent", "deferred", "failed", "held", "quarantined", "refused", "rejected", "bounced", "operator", "alarm"];
const fits = (e, q, kind) => (!kind || e.kind === kind) && (!q || [e.id, e.sender, e.rcpt, e.client, e.relay, e.reply, ...(e.recipients || [])].some((x) => x && String(x).toLowerCase().includes(q)));

export default function Live({ query }) {
	const [rows, set] = useState([]), [state, state_set] = useState("wait"), [paused, pause] = useState(false), [missed, missed_set] = useState(0);
	const coming = useRef([]), stopped = useRef(false), nth = useRef(0);
	stopped.current = paused;
	const q = (query.q || "").toLowerCase();
	useEffect(() => {
		const source = new EventSource("api/v1/live");
		source.onopen = () => state_set("on");
		source.onerror = () => state_set(source.readyState === EventSource.CLOSED ? "off" : "wait");
		source.onmessage = (m) => {
			let e;
			try {
				e = JSON.parse(m.data);
			} catch {
				return;
			}
			if (!e || typeof e.kind !== "string")
				return;
			e.n = ++nth.current;
			if (stopped.current)
				missed_set((n) => n + 1);
			coming.current.push(e);
			if (coming.current.length > SHOWN)
				coming.current.shift();
		};
		const timer = setInterval(() => {
			if (stopped.current || !coming.current.length)
				return;
			const fresh = coming.current.reverse();
			coming.current = [];
			set((old) => [...fresh, ...old].slice(0, SHOWN));
		}, TICK);
		return () => {
			source.close();
			clearInterval(timer);
		};
	}, []);
	const shown = useMemo(() => rows.filter((e) => fits(e, q, query.kind)), [rows, q, query.kind]);
	return html`<${Head} title=${t("nav.live")} lead=${html`<${State} state=${state === "on" ? "ok" : state === "wait" ? "waiting" : "down"} label=${t("live." + state)}/>`}>
		<button type="button" aria-pressed=${String(paused)} onClick=${() => {
			pause(!paused);
			missed_set(0);
		}}>${paused ? t("live.go", { n: missed }) : t("live.pause")}</button><button type="button" onClick=${() => set([])}>${t("live.clear")}</button><//>
	${state === "off" && html`<${Notice} kind="bad" title=${t("live.off")}><p>${t("live.off.do")}</p><//>`}
	<${Search} label=${t("live.filter")} value=${query.q} onSearch=${(x) => go(["live"], { ...query, q: x }, true)}>
		<${Select} label=${t("live.kind")} value=${query.kind || ""} options=${[["", t("live.kind.all")], ...KINDS.map((k) => [k, word("state", k)])]} onChange=${(kind) => go(["live"], { ...query, kind }, true)}/><//>
	<${Table} caption=${t("nav.live")} rows=${shown} id=${(e) => e.n} empty=${html`<${Empty} title=${t(rows.length ? "live.none-fit" : "live.none")}>${t("live.none.do")}<//>`} columns=${[
		{ label: t("time"), tight: true, cell: (e) => html`<${Time} value=${e.time} seconds/>` },
		{ label: t("live.what"), tight: true, cell: (e) => html`<${State} state=${e.kind}/>` },
		{ label: t("from"), wide: true, cell: (e) => html`<${Text} value=${e.sender ?? e.by}/>` },
		{ label: t("to"), wide: true, cell: (e) => (e.rcpt ? html`<${Text} value=${e.rcpt}/>` : html`<span><${Addresses} list=${e.recipients} max=${2}/></span>`) },
		{ label: t("live.reply"), wide: true, cell: (e) => html`<${Text} value=${[e.relay !== "none" && e.relay, e.reply].filter(Boolean).join(" – ")}/>` },
		{ label: t("id"), tight: true, cell: (e) => html`<${Id} id=${e.id}/>` },
	]}/>`;
}
