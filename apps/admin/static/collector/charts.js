"use strict";
// Draws the charts from numbers that are also on the page as tables. Needs Chart.js, which the theme ships.
(() => {
  const TONES = {
    good: "#16a34a", bad: "#dc2626", quiet: "#60a5fa", calm: "#a78bfa", dim: "#9ca3af",
    one: "#6d28d9", two: "#2563eb", three: "#0891b2", four: "#d97706",
  };
  const NARROW = 480;
  const PATTERNS = { bad: 4, quiet: 6, calm: 8, three: 6, four: 8 };

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
      borderDash: isLine && PATTERNS[series.tone] ? [PATTERNS[series.tone], 3] : [],
      pointRadius: isLine ? 3 : 0,
      spanGaps: false,
      tension: 0,
      yAxisID: series.axis || "y",
    }));
  }

  // Long numbers are shortened in the reader's language: 350M, 3.5亿.
  const language = document.documentElement.lang || "en";
  const short = new Intl.NumberFormat(language, { notation: "compact", maximumFractionDigits: 1 });

  function options(data) {
    const ink = getComputedStyle(document.querySelector(".cp")).color;
    const isStacked = data.kind === "stacked";
    const isLying = data.kind === "bars";
    const sign = data.is_percent ? " %" : "";
    const scale = (extra) => ({ stacked: isStacked, ticks: { color: ink }, grid: { color: "rgba(128,128,128,.2)" }, ...extra });
    const names = scale({ ticks: { color: ink, maxRotation: 60, autoSkip: true } });
    const values = (title, extra) => scale({
      beginAtZero: true,
      ticks: { color: ink, precision: data.is_percent ? undefined : 0, callback: (value) => short.format(value) + sign },
      // On a narrow screen the legend alone names the series.
      title: { display: (context) => Boolean(title) && context.chart.width > NARROW, text: title, color: ink },
      ...extra,
    });
    const scales = isLying ? { x: values(), y: scale() } : { x: names, y: values(data.unit) };
    if (data.series.some((series) => series.axis === "y2")) {
      scales.y2 = values(data.unit2, { position: "right", grid: { drawOnChartArea: false } });
    }
    const label = (item) => `${item.dataset.label}: ${item.formattedValue}${item.formattedValue ? sign : ""}`;
    return {
      animation: false, maintainAspectRatio: false, responsive: true, locale: language,
      indexAxis: isLying ? "y" : "x",
      interaction: { mode: "index", intersect: false, axis: isLying ? "y" : "x" },
      plugins: { legend: { labels: { color: ink, boxWidth: 14 }, position: "bottom" }, tooltip: { enabled: true, callbacks: { label } } },
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

  window.collectorCharts = { draw, drawAll, read };
  document.addEventListener("DOMContentLoaded", () => {
    const charts = read("charts");
    if (charts) drawAll(charts);
    new MutationObserver(refreshColours).observe(document.documentElement, { attributeFilter: ["class"] });
  });
})();
