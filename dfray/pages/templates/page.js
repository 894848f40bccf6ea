"use strict";
const plots = [...document.querySelectorAll(".plot")];
for (const plot of plots) {
  const figure = JSON.parse(plot.nextElementSibling.textContent);
  Plotly.newPlot(plot, figure.data, figure.layout, {
    responsive: true, displaylogo: false, modeBarButtons: [["toImage", "resetScale2d"]],
  });
}
// Paper is narrower than the window: draw at the paper's width, and again at the window's after it.
const PAPER_PX = 640;
addEventListener("beforeprint", () => plots.forEach((p) => Plotly.relayout(p, { width: PAPER_PX })));
addEventListener("afterprint", () => plots.forEach((p) => Plotly.relayout(p, { width: null, autosize: true })));
