/* api.js -- the way to the server: /api/v1.
 *
 * get(path, query), send(method, path, body): the answer, or an Error with .code (the
 * contract's word), .status and .message (for people). A 401 anywhere but at the door
 * means that nobody is signed in any more: `session` becomes null and the door is shown,
 * with the address kept for afterwards.
 */
import { store, useState, useEffect, useCallback } from "./base.js";

export const session = store(undefined);	/* undefined: not asked yet; null: nobody */
const ROOT = "api/v1";
const PATIENCE = 30000;	/* ms for an answer */

export class ApiError extends Error {
	constructor(status, code, message) {
		super(message);
		this.status = status;
		this.code = code;
	}
}

async function ask(method, path, { query, body, signal, door, patience } = {}) {
	const q = new URLSearchParams();
	for (const [k, v] of Object.entries(query || {}))
		if (v !== undefined && v !== null && v !== "")
			q.set(k, v);
	const headers = { Accept: "application/json" };
	if (method !== "GET") {
		headers["X-Postern-CSRF"] = session.get()?.csrf || "";
		if (body !== undefined)
			headers["Content-Type"] = "application/json";
	}
	const late = AbortSignal.timeout(patience || PATIENCE);
	let r, data = null;
	try {
		r = await fetch(ROOT + path + (q.size ? "?" + q : ""), {
			method, headers, credentials: "same-origin", cache: "no-store", redirect: "error",
			body: body === undefined ? undefined : JSON.stringify(body),
			signal: signal ? AbortSignal.any([signal, late]) : late,
		});
		const text = await r.text();
		if (text)
			data = JSON.parse(text);
	} catch (e) {
		if (signal?.aborted)
			throw e;
		if (late.aborted)
			throw new ApiError(0, "late", "");
		throw new ApiError(r?.status || 0, r ? "nonsense" : "network", "");
	}
	if (!r.ok || (data && data.error)) {
		const code = data?.code || { 401: "login", 403: "forbidden", 404: "not-found", 409: "conflict",
			429: "limit", 501: "not-available", 503: "busy" }[r.status] || "fault";
		if (r.status === 401 && !door && session.get())
			session.set(null);
		throw new ApiError(r.status, code, data?.error || "");
	}
	return data || {};
}

export const get = (path, query, options) => ask("GET", path, { query, ...options });
export const send = (method, path, body, options) => ask(method, path, { body, ...options });
/* What a command said in several lines, as one. */
export const joined = (d) => (Array.isArray(d.items) ? Object.assign({}, ...d.items) : d);
/* A part of a path that is somebody's text. */
export const seg = (text) => encodeURIComponent(text);

/* What path answers: {data, error, loading, at, reload}. path null: nothing is asked. While it is asked
 * again the last answer stays; another question forgets it. every: seconds, while the page is seen. */
export function useApi(path, query, { every } = {}) {
	const key = path === null ? null : path + "?" + JSON.stringify(query || {});
	const [state, set] = useState({ key: null });
	const [round, again] = useState(0);

	useEffect(() => {
		if (key === null)
			return undefined;
		const stop = new AbortController();
		set((s) => (s.key === key ? { ...s, loading: true } : { key, loading: true }));
		get(path, query, { signal: stop.signal }).then(
			(data) => set({ key, data, loading: false, at: Date.now() }),
			(error) => stop.signal.aborted || set((s) => ({ key, data: s.key === key ? s.data : undefined, error,
				loading: false, at: s.at })));
		return () => stop.abort();
	}, [key, round]);
	useEffect(() => {
		if (!every || key === null)
			return undefined;
		const tick = () => document.hidden || again((n) => n + 1);
		const timer = setInterval(tick, every * 1000);
		document.addEventListener("visibilitychange", tick);
		return () => {
			clearInterval(timer);
			document.removeEventListener("visibilitychange", tick);
		};
	}, [every, key]);
	const reload = useCallback(() => again((n) => n + 1), []);
	const fresh = state.key === key ? state : { loading: key !== null };
	return { data: fresh.data, error: fresh.error, loading: Boolean(fresh.loading), at: fresh.at, reload };
}

/* ---- who may see what ---- */

/* A page's roles; the server decides each time anyway: this only spares people links that answer "no". */
export const ROLES = ["user", "domain_admin", "operator", "editor", "reviewer", "auditor", "admin"];
const MAY = {
	overview: ["domain_admin", "operator", "editor", "reviewer", "auditor"],
	trace: ["domain_admin", "operator", "editor", "reviewer", "auditor"],
	live: ["operator", "auditor"],
	queue: ["operator", "auditor"],
	kept: ["domain_admin", "operator", "reviewer", "auditor"],
	mine: ["user"],
	lists: ["user", "domain_admin", "operator", "auditor"],
	incidents: ["reviewer", "auditor"],
	policy: ["editor", "operator", "reviewer", "auditor"],
	domains: ["domain_admin", "operator", "auditor"],
	reputation: ["operator", "auditor"],
	health: ["domain_admin", "operator", "editor", "reviewer", "auditor"],
	audit: ["auditor"],
	users: ["auditor"],
	/* acts */
	"act:queue": ["operator"],
	"act:kept": ["operator", "domain_admin"],
	"act:requests": ["operator"],
	"act:probe": ["operator", "domain_admin"],
	"act:lists": ["user", "domain_admin", "operator"],
	"act:incidents": ["reviewer"],
	"act:policy": ["editor"],
	"act:users": [],
	"see:contents": ["user", "domain_admin", "operator", "reviewer"],
};

export function may(what) {
	const mine = session.get()?.roles || [];
	return mine.includes("admin") || (MAY[what] || []).some((r) => mine.includes(r));
}
