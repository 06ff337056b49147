"use strict";
// Replaces each still picture by its interactive chart; the still one stays for print and on error.
(function () {
  const holder = document.getElementById("charts");
  const charts = JSON.parse(holder.textContent);
  for (const [name, spec] of Object.entries(charts)) {
    const figure = document.getElementById("figure-" + name);
    const live = figure.querySelector(".live");
    const options = {
      mode: "vega-lite", renderer: "svg", actions: false, ast: true, defaultStyle: false,
      tooltip: { theme: "custom" },
    };
    window.vegaEmbed(live, spec, options).then(function () {
      const svg = live.querySelector("svg");
      svg.setAttribute("role", "img");
      svg.setAttribute("aria-label", figure.dataset.alt);
      figure.classList.add("is-live");
    }).catch(function () { live.remove(); });
  }
})();
