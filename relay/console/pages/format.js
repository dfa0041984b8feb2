/* format.js -- times, sizes and numbers as people of the chosen language write them (Intl).
 *
 * The server's times are Unix microseconds, its records' seconds: which one is plain from the size.
 */
import { language } from "./words.js";

const made = new Map();
function intl(kind, options) {
	const key = language.get() + kind.name + JSON.stringify(options);
	if (!made.has(key))
		made.set(key, new kind(language.get(), options));
	return made.get(key);
}

export function date(value) {
	if (typeof value === "string")
		value = /^\d+$/.test(value) ? Number(value) : Date.parse(value);
	if (typeof value !== "number" || !Number.isFinite(value) || value <= 0)
		return null;
	const d = new Date(value > 1e14 ? value / 1000 : value > 1e11 ? value : value * 1000);
	return Number.isNaN(d.getTime()) ? null : d;
}

const day = (d) => d.toDateString();
/* Of today: the time; of this year: day and time; else all. */
export function moment(value, seconds) {
	const d = date(value), now = new Date();
	if (!d)
		return "–";
	const time = { hourCycle: "h23", hour: "2-digit", minute: "2-digit", ...(seconds ? { second: "2-digit" } : {}) };
	if (day(d) === day(now))
		return intl(Intl.DateTimeFormat, time).format(d);
	return intl(Intl.DateTimeFormat, { day: "numeric", month: "short", ...time,
		...(d.getFullYear() === now.getFullYear() ? {} : { year: "numeric" }) }).format(d);
}

export const whole = (value) => {
	const d = date(value);
	return d ? intl(Intl.DateTimeFormat, { hourCycle: "h23", dateStyle: "full", timeStyle: "long" }).format(d) : "";
};

export const hour = (value) => intl(Intl.DateTimeFormat, { hourCycle: "h23", hour: "2-digit", minute: "2-digit" }).format(date(value));

const STEPS = [[31536000, "year"], [2592000, "month"], [86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];
export function ago(value, from) {
	const d = date(value);
	if (!d)
		return "";
	const s = (d.getTime() - (from ?? Date.now())) / 1000;
	const [n, unit] = STEPS.find(([k]) => Math.abs(s) >= k) || STEPS[5];
	return intl(Intl.RelativeTimeFormat, { numeric: "auto", style: "short" }).format(Math.trunc(s / n), unit);
}

/* "3 d 4 h", of seconds. */
export function span(seconds) {
	const out = [];
	let s = Math.max(0, Math.round(seconds));
	for (const [n, unit] of STEPS) {
		if (unit === "month" || (s < n && unit !== "second") || (unit === "second" && out.length))
			continue;
		out.push(intl(Intl.NumberFormat, { style: "unit", unit, unitDisplay: "narrow" }).format(Math.floor(s / n)));
		s %= n;
		if (out.length === 2)
			break;
	}
	return out.join(" ");
}

export const number = (n) => (typeof n === "number" ? intl(Intl.NumberFormat, { maximumFractionDigits: 2 }).format(n) : "–");
export const compact = (n) => intl(Intl.NumberFormat, { notation: "compact", maximumFractionDigits: 1 }).format(n);

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
export function size(bytes) {
	if (typeof bytes !== "number")
		return "–";
	let i = 0, n = bytes;
	for (; n >= 1000 && i < UNITS.length - 1; i++)
		n /= 1000;
	return intl(Intl.NumberFormat, { style: "unit", unit: UNITS[i], unitDisplay: "short",
		maximumFractionDigits: n < 10 && i ? 1 : 0 }).format(n);
}

export const list = (items) => intl(Intl.ListFormat, { style: "short", type: "conjunction" }).format(items);
