/* boot.js -- before anything is painted: the colours and the language chosen last time.
 *
 * A script of its own, and not a module, for it must not come after the first paint;
 * and not in the page, for the Content-Security-Policy allows no script there.
 */
(function () {
	"use strict";
	var root = document.documentElement, theme = null, language = null;

	try {
		theme = localStorage.getItem("postern.theme");
		language = localStorage.getItem("postern.language");
	} catch (e) {
		/* no storage: what the system prefers */
	}
	if (theme === "light" || theme === "dark")
		root.dataset.theme = theme;
	if (language === "en" || language === "fr")
		root.lang = language;
	else
		root.lang = /^fr\b/i.test(navigator.language || "") ? "fr" : "en";
})();
