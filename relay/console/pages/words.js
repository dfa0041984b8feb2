/* words.js -- all texts, in the language of the one who reads.
 *
 * t("key", {name: value}) is a text of texts/LANGUAGE.js with {name} filled in; a text that is an object
 * has a form for each plural of {n} (Intl.PluralRules). Both tables have the same keys: a test compares.
 */
import { store } from "./base.js";

export const LANGUAGES = { en: "English", fr: "Français" };
let table = {}, plural = new Intl.PluralRules("en");
export const language = store(document.documentElement.lang in LANGUAGES ? document.documentElement.lang : "en");

export async function language_set(code) {
	const wanted = code in LANGUAGES ? code : "en";
	table = (await import("./texts/" + wanted + ".js")).default;
	plural = new Intl.PluralRules(wanted);
	document.documentElement.lang = wanted;
	try {
		localStorage.setItem("postern.language", wanted);
	} catch {
		/* then it is asked of the browser next time */
	}
	language.set(wanted);
}

export function t(key, values) {
	let text = table[key];

	if (text === undefined)
		return key;
	if (typeof text === "object")
		text = text[plural.select(values?.n ?? 0)] ?? text.other;
	return values ? text.replace(/\{(\w+)\}/g, (all, name) =>
		typeof values[name] === "number" ? new Intl.NumberFormat(language.get()).format(values[name]) :
			values[name] ?? all) : text;
}

/* A text that only a table of names may have ("state.waiting"); what is not in it stands as it is. */
export function word(group, name) {
	const text = table[group + "." + name];
	return typeof text === "string" ? text : name === null || name === undefined ? "" : String(name);
}
