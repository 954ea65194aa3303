// Charts: only those used are bundled. Colours come from the style sheet, so that dark, light and print agree with it.
import * as echarts from 'echarts/core';
import { BarChart, HeatmapChart, LineChart, ScatterChart, TreemapChart, CustomChart } from 'echarts/charts';
import { AriaComponent, DataZoomComponent, GridComponent, MarkLineComponent, TooltipComponent, VisualMapComponent } from 'echarts/components';
import { CanvasRenderer, SVGRenderer } from 'echarts/renderers';
import { h } from './dom.js';

echarts.use([BarChart, HeatmapChart, LineChart, ScatterChart, TreemapChart, CustomChart, AriaComponent, DataZoomComponent,
  GridComponent, MarkLineComponent, TooltipComponent, VisualMapComponent, CanvasRenderer, SVGRenderer]);

export const narrow = () => window.innerWidth < 620;
export const still = matchMedia('(prefers-reduced-motion: reduce)').matches;

export function colours() {
  const style = getComputedStyle(document.documentElement);
  return new Proxy({}, { get: (_, name) => style.getPropertyValue(`--${name}`).trim() });
}

// The same look for every chart.
export function axis(c, more = {}) {
  return { axisLine: { show: false }, axisTick: { show: false }, splitLine: { lineStyle: { color: c.faint } }, nameTextStyle: { color: c.soft, fontSize: 12 },
    ...more, axisLabel: { color: c.soft, fontSize: 12, hideOverlap: true, ...more.axisLabel } };
}

// A tooltip as elements, never as markup: a title, then names and values.
export const tip = (title, rows) =>
  h('div', { class: 'tip' }, h('b', { dir: 'auto' }, title), rows.map(([name, value]) => h('span', {}, name, h('em', {}, value))));

const base = c => ({
  animation: false, textStyle: { fontFamily: getComputedStyle(document.body).fontFamily, color: c.ink },
  tooltip: { confine: true, backgroundColor: c.paper, borderColor: c.rule, borderWidth: 1, padding: [8, 12], textStyle: { color: c.ink }, extraCssText: 'box-shadow:0 2px 10px rgba(0,0,0,.12)' },
});

const drawn = new Map();  // element -> redraw

// A figure whose chart `option(colours)` describes; `alt` says in words what it shows.
export function figure(alt, height, option, { caption, canvas, click, zoomed } = {}) {
  const box = h('div', { class: 'chart', role: 'img', 'aria-label': alt, style: `height:${height}px` });
  const draw = () => {
    echarts.getInstanceByDom(box)?.dispose();
    const c = colours();
    const chart = echarts.init(box, null, { renderer: canvas ? 'canvas' : 'svg' });
    const made = option(c);
    chart.setOption({ ...base(c), ...made, tooltip: { ...base(c).tooltip, ...made.tooltip } });
    if (click) chart.on('click', click);
    if (zoomed) chart.on('datazoom', () => { const { start, end } = chart.getOption().dataZoom[0]; zoomed(start / 100, end / 100); });
    box.dataset.drawn = 'yes';
    return chart;
  };
  drawn.set(box, draw);
  return h('figure', {}, box, caption && h('figcaption', {}, caption));
}

// Draws every chart that has come into the page and forgets those that have left it.
export function draw_all() {
  for (const [box, draw] of drawn) {
    if (box.isConnected) draw();
    else { echarts.getInstanceByDom(box)?.dispose(); drawn.delete(box); }
  }
}

// Looks at `factor` of what a figure with a zoom shows, moved by a share of it.
export function zoom(holder, factor, shift) {
  const chart = echarts.getInstanceByDom(holder.querySelector('.chart')), { start, end } = chart.getOption().dataZoom[0];
  const wide = Math.min(100, Math.max(0.05, factor * (end - start))), begin = Math.min(100 - wide, Math.max(0, (start + end - wide) / 2 + shift * wide));
  chart.dispatchAction({ type: 'dataZoom', start: begin, end: begin + wide });
}

let width = window.innerWidth;
addEventListener('resize', () => { if (window.innerWidth !== width) { width = window.innerWidth; draw_all(); } });
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw_all);
matchMedia('print').addEventListener('change', draw_all);

export const legend = items => h('ul', { class: 'legend' }, items.map(([name, colour, hatched]) =>
  h('li', {}, h('i', { style: `--swatch:var(--${colour})`, class: hatched && 'hatched' }), name)));
