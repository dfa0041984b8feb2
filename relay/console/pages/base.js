/* base.js -- what every page is made of: preact, its hooks, and html`…`.
 *
 * A text in html`…` becomes a text node, whatever it contains; there is no other way
 * for a text into a page (tests look for the words that would be one).
 */
import { h, render, Fragment } from "./vendor/preact.js";
import { useState, useEffect, useRef, useMemo, useCallback, useId, useLayoutEffect } from "./vendor/hooks.js";
import htm from "./vendor/htm.js";

export const html = htm.bind(h);
export { h, render, Fragment, useState, useEffect, useRef, useMemo, useCallback, useId, useLayoutEffect };

/* A value that many parts look at: get(), set(v), and use() within a component. */
export function store(value) {
	const seen = new Set();
	return {
		get: () => value,
		set(next) {
			value = next;
			for (const f of [...seen])
				f();
		},
		use() {
			const [, again] = useState(0);
			useEffect(() => {
				const f = () => again((n) => n + 1);
				seen.add(f);
				return () => seen.delete(f);
			}, []);
			return value;
		},
	};
}

/* ---- where we are: #/page/rest?name=value; the address says all that a page shows ---- */

export function parse(hash) {
	const raw = hash.replace(/^#\/?/, "");
	const cut = raw.indexOf("?");
	const path = (cut < 0 ? raw : raw.slice(0, cut)).split("/").filter(Boolean).map((s) => {
		try {
			return decodeURIComponent(s);
		} catch {
			return s;
		}
	});
	return { path, query: Object.fromEntries(new URLSearchParams(cut < 0 ? "" : raw.slice(cut + 1))) };
}

export function href(path, query) {
	const parts = (Array.isArray(path) ? path : [path]).map(encodeURIComponent).join("/");
	const q = new URLSearchParams();
	for (const [k, v] of Object.entries(query || {}))
		if (v !== undefined && v !== null && v !== "" && v !== false)
			q.set(k, v === true ? "1" : v);
	return "#/" + parts + (q.size ? "?" + q : "");
}

export const place = store(parse(location.hash));
addEventListener("hashchange", () => place.set(parse(location.hash)));

/* replace: the button "back" does not stop here, as with each letter of a search. */
export function go(path, query, replace) {
	const to = href(path, query);
	if (to === location.hash)
		place.set({ ...parse(to) });
	else if (replace) {
		history.replaceState(null, "", to);
		place.set(parse(to));
	} else
		location.hash = to;
}

/* A link of the API's ("/queue?by=site", "#/queue") as one of ours; of any other kind, none. */
export function inward(link) {
	if (typeof link !== "string")
		return null;
	if (link.startsWith("#/"))
		return link;
	return /^\/(?!\/)/.test(link) ? "#" + link : null;
}
