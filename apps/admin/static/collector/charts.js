"use strict";
// Draws the charts from numbers that are also on the page as tables. Needs Chart.js, which the theme ships.
(() => {
  const TONES = {
    good: "#16a34a", bad: "#dc2626", quiet: "#60a5fa", calm: "#a78bfa", dim: "#9ca3af",
    one: "#6d28d9", two: "#2563eb", three: "#0891b2", four: "#d97706", five: "#be185d", six: "#4d7c0f",
    past: "#6b7280",
  };
  const NARROW = 480;
  const PATTERNS = { bad: 4, quiet: 6, calm: 8, three: 6, four: 8, five: 5, past: 3 };
  // Lines differ by their dashes and by their points, too.
  const DASHES = { three: [6, 3], four: [8, 3], two: [2, 3], five: [10, 3, 2, 3], six: [4, 2], past: [6, 5] };
  const POINTS = { one: "circle", two: "rect", three: "triangle", four: "rectRot", five: "crossRot", six: "star", past: "line" };
  // The bars of a chart with a bar per row, in CSS pixels; a canvas can have so many device pixels.
  const ROW = 22;
  const MORE = 9;
  const AXES = 90;
  const HIGHEST = 32000;

  // Stripes distinguish the series for a reader who cannot distinguish the colours.
  function fill(context, tone) {
    const color = TONES[tone] || tone;
    const step = PATTERNS[tone];
    if (!step) return color;
    const tile = document.createElement("canvas");
    tile.width = tile.height = step * 2;
    const pen = tile.getContext("2d");
    pen.fillStyle = color;
    pen.fillRect(0, 0, tile.width, tile.height);
    pen.strokeStyle = "rgba(255,255,255,.45)";
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.moveTo(0, tile.height);
    pen.lineTo(tile.width, 0);
    pen.stroke();
    return context.createPattern(tile, "repeat");
  }

  function datasets(context, data) {
    const isLine = data.kind === "line";
    return data.series.map((series) => ({
      label: series.name,
      data: series.values,
      backgroundColor: isLine ? TONES[series.tone] : fill(context, series.tone),
      borderColor: TONES[series.tone],
      borderWidth: isLine ? 2 : 0,
      borderDash: (isLine && DASHES[series.tone]) || [],
      pointRadius: isLine ? 3 : 0,
      pointStyle: POINTS[series.tone] || "circle",
      // A row that only some series have gets no empty place for the others.
      skipNull: true,
      sign: series.sign || "",
      periods: series.periods || null,
      spanGaps: false,
      tension: 0,
      yAxisID: series.axis || "y",
    }));
  }

  // Long numbers are shortened in the reader's language: 350M, 3.5亿.
  const language = document.documentElement.lang || "en";
  const short = new Intl.NumberFormat(language, { notation: "compact", maximumFractionDigits: 1 });

  // A long name leaves most of the width to the bars; the whole one is above the values of its row.
  function fitted(chart, name) {
    const room = chart.width * 0.35;
    const signs = [...name];
    chart.ctx.font = `${Chart.defaults.font.size}px ${Chart.defaults.font.family}`;
    const text = (count) => (count < signs.length ? `${signs.slice(0, count).join("")}…` : name);
    let count = signs.length;
    while (count > 4 && chart.ctx.measureText(text(count)).width > room) count -= 1;
    return text(count);
  }

  function options(data) {
    const ink = getComputedStyle(document.querySelector(".cp")).color;
    const isStacked = data.kind === "stacked";
    const isLying = data.kind === "bars";
    const axes = data.axes || {};
    const isWhole = data.series.every((series) => series.values.every((value) => value === null || Number.isInteger(value)));
    const scale = (extra) => ({ stacked: isStacked, ticks: { color: ink }, grid: { color: "rgba(128,128,128,.2)" }, ...extra });
    const names = scale({ ticks: { color: ink, maxRotation: 60, autoSkip: true } });
    const values = ({ title, sign } = {}, extra = {}) => scale({
      beginAtZero: true,
      ticks: { color: ink, precision: isWhole ? 0 : undefined, callback: (value) => short.format(value) + (sign || "") },
      // On a narrow screen the legend alone names the series.
      title: { display: (context) => Boolean(title) && context.chart.width > NARROW, text: title, color: ink },
      ...extra,
    });
    // The values of a tall chart stand above it: its lower end is out of sight.
    const scales = isLying ? { x: values(axes.y, { position: "top" }), y: scale({ ticks: { color: ink, callback(value) { return fitted(this.chart, this.getLabelForValue(value)); } } }) } : { x: names, y: values(axes.y) };
    if (axes.y2) scales.y2 = values(axes.y2, { position: "right", grid: { drawOnChartArea: false } });
    const title = (items) => (items.length ? (data.titles || data.labels)[items[0].dataIndex] : "");
    const label = (item) => {
      const period = item.dataset.periods && item.dataset.periods[item.dataIndex];
      return `${period || item.dataset.label}: ${item.formattedValue}${item.formattedValue ? item.dataset.sign : ""}`;
    };
    return {
      animation: false, maintainAspectRatio: false, responsive: true, locale: language,
      indexAxis: isLying ? "y" : "x",
      interaction: { mode: "index", intersect: false, axis: isLying ? "y" : "x" },
      plugins: { legend: { labels: { color: ink, boxWidth: 14, ...(data.kind === "line" && { usePointStyle: true, boxHeight: 7, padding: 14 }) }, position: isLying ? "top" : "bottom" }, tooltip: { enabled: true, callbacks: { title, label } } },
      scales,
    };
  }

  // Draws, or redraws, the chart inside a holder; without numbers the holder stays hidden.
  function draw(holder, data) {
    if (!data || typeof Chart === "undefined") {
      holder.hidden = true;
      return;
    }
    const isFirst = holder.hidden;
    holder.hidden = false;
    if (data.kind === "bars") {
      const height = AXES + data.labels.length * (ROW + MORE * (data.series.length - 1));
      holder.style.height = `${Math.min(height, HIGHEST / Math.max(2, window.devicePixelRatio))}px`;
    }
    const canvas = holder.querySelector("canvas");
    holder.collectorData = data;
    if (holder.collectorChart) {
      const chart = holder.collectorChart;
      chart.data.labels = data.labels;
      datasets(canvas.getContext("2d"), data).forEach((dataset, index) => {
        if (chart.data.datasets[index]) chart.data.datasets[index].data = dataset.data;
      });
      chart.update("none");
    } else {
      holder.collectorChart = new Chart(canvas, {
        type: data.kind === "line" ? "line" : "bar",
        data: { labels: data.labels, datasets: datasets(canvas.getContext("2d"), data) },
        options: options(data),
      });
    }
    // The table has the same numbers, so it is closed once the chart shows them.
    const table = holder.parentElement.querySelector(".cp-table-of-chart");
    if (isFirst && table) table.open = false;
  }

  function drawAll(charts) {
    document.querySelectorAll("[data-chart]").forEach((holder) => draw(holder, charts[holder.dataset.chart]));
  }

  // The colour of texts comes from the theme, which the user may change while the page is open.
  function refreshColours() {
    for (const { collectorChart: chart, collectorData: data } of document.querySelectorAll("[data-chart]")) {
      if (!chart) continue;
      chart.options = options(data);
      chart.update("none");
    }
  }

  function read(id) {
    const element = document.getElementById(id);
    return element ? JSON.parse(element.textContent) : null;
  }

  // Lets go of the charts in a part of the page that is about to be replaced.
  function release(part) {
    part.querySelectorAll("[data-chart]").forEach((holder) => holder.collectorChart && holder.collectorChart.destroy());
  }

  window.collectorCharts = { draw, drawAll, read, release };
  document.addEventListener("DOMContentLoaded", () => {
    const charts = read("charts");
    if (charts) drawAll(charts);
    new MutationObserver(refreshColours).observe(document.documentElement, { attributeFilter: ["class"] });
  });
})();
