// Charts: only those used are bundled. Colours come from the style sheet, so that dark, light and print agree with it.
import * as echarts from 'echarts/core';
import { BarChart, HeatmapChart, LineChart, ScatterChart, TreemapChart, CustomChart } from 'echarts/charts';
import { AriaComponent, DataZoomComponent, GridComponent, MarkLineComponent, TooltipComponent, VisualMapComponent } from 'echarts/components';
import { CanvasRenderer, SVGRenderer } from 'echarts/renderers';
import { h, shortened } from './dom.js';

echarts.use([BarChart, HeatmapChart, LineChart, ScatterChart, TreemapChart, CustomChart, AriaComponent, DataZoomComponent,
  GridComponent, MarkLineComponent, TooltipComponent, VisualMapComponent, CanvasRenderer, SVGRenderer]);

export const narrow = () => window.innerWidth < 620;
export const still = matchMedia('(prefers-reduced-motion: reduce)').matches;

// Each asked of the style sheet once, when first used.
export function colours() {
  const style = getComputedStyle(document.documentElement);
  return new Proxy({}, { get: (known, name) => known[name] ??= style.getPropertyValue(`--${name}`).trim() });
}

// The same look for every chart.
export function axis(c, more = {}) {
  return { axisLine: { show: false }, axisTick: { show: false }, splitLine: { lineStyle: { color: c.faint } }, nameTextStyle: { color: c.soft, fontSize: 12 },
    ...more, axisLabel: { color: c.soft, fontSize: 12, hideOverlap: true, ...more.axisLabel } };
}

// Names beside bars, the first on top; long ones take two lines.
export const name_axis = (c, names, room) => axis(c, { type: 'category', inverse: true, data: names.map(name => shortened(name, room > 150 ? 70 : 36)),
  axisLabel: { color: c.ink, fontSize: room > 150 ? 13 : 12, lineHeight: 13, width: room - 8, overflow: 'break', interval: 0, hideOverlap: false } });

// Ink or paper, whichever reads better on a colour "#rrggbb".
const light_of = colour => [1, 3, 5].map(at => parseInt(colour.slice(at, at + 2), 16) / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const contrast = (a, b) => (Math.max(light_of(a), light_of(b)) + 0.05) / (Math.min(light_of(a), light_of(b)) + 0.05);
export const readable_on = (c, colour) => contrast(c.ink, colour) > contrast(c.paper, colour) ? c.ink : c.paper;

// A tooltip as elements, never as markup: a title, then names and values.
export const tip = (title, rows) =>
  h('div', { class: 'tip' }, h('b', { dir: 'auto' }, title), rows.map(([name, value]) => h('span', {}, name, h('em', {}, value))));

const base = c => ({
  animation: false, textStyle: { fontFamily: getComputedStyle(document.body).fontFamily, color: c.ink },
  tooltip: { confine: true, backgroundColor: c.paper, borderColor: c.rule, borderWidth: 1, padding: [8, 12], textStyle: { color: c.ink }, extraCssText: 'box-shadow:0 2px 10px rgba(0,0,0,.12)' },
});

const figures = new Map();  // element -> draw(width)

// A figure whose chart `option(colours)` describes; `alt` says in words what it shows.
export function figure(alt, height, option, { caption, canvas, click, zoomed } = {}) {
  const box = h('div', { class: 'chart', role: 'img', 'aria-label': alt, style: `height:${height}px` });
  figures.set(box, width => {
    echarts.getInstanceByDom(box)?.dispose();
    const c = colours(), looks = base(c), made = option(c);
    const chart = echarts.init(box, null, { renderer: canvas ? 'canvas' : 'svg', width, height });
    chart.setOption({ ...looks, ...made, tooltip: { ...looks.tooltip, ...made.tooltip } });
    if (click) chart.on('click', click);
    if (zoomed) chart.on('datazoom', () => { const { start, end } = chart.getOption().dataZoom[0]; zoomed(start / 100, end / 100); });
    box.dataset.drawn = 'yes';
  });
  return h('figure', {}, box, caption && h('figcaption', {}, caption));
}

// What is in view is drawn at once, the rest in page order as time allows; data-ready says that nothing waits.
let waiting = [], after = [];
const is_ready = yes => { if (yes) document.documentElement.dataset.ready = 'yes'; else delete document.documentElement.dataset.ready; };

function draw_while(more) {
  while (waiting.length && more(waiting[0])) { const { box, width } = waiting.shift(); figures.get(box)?.(width); }
  if (waiting.length) return setTimeout(draw_some);
  is_ready(true);
  after.splice(0).forEach(task => task());
}

function draw_some() {
  const begin = performance.now();
  draw_while(() => performance.now() - begin < 40);
}

function draw(boxes) {
  waiting = [...new Set([...waiting.map(w => w.box), ...boxes])].filter(box => box.isConnected).map(box => ({ box, width: box.clientWidth, place: box.getBoundingClientRect() }));
  is_ready(false);
  draw_while(({ place }) => place.top < window.innerHeight);
}

// Draws charts that have come into the page and forgets those that have left it.
export function draw_new() {
  for (const box of figures.keys()) if (!box.isConnected) { echarts.getInstanceByDom(box)?.dispose(); figures.delete(box); }
  draw([...figures.keys()].filter(box => !box.dataset.drawn));
}

export const draw_all = () => draw(figures.keys());
export const when_drawn = task => { if (waiting.length) after.push(task); else task(); };

// Looks at `factor` of what a figure with a zoom shows, moved by a share of it.
export function zoom(holder, factor, shift) {
  const chart = echarts.getInstanceByDom(holder.querySelector('.chart')), { start, end } = chart.getOption().dataZoom[0];
  const wide = Math.min(100, Math.max(0.05, factor * (end - start))), begin = Math.min(100 - wide, Math.max(0, (start + end - wide) / 2 + shift * wide));
  chart.dispatchAction({ type: 'dataZoom', start: begin, end: begin + wide });
}

let seen_width = window.innerWidth;
addEventListener('resize', () => { if (window.innerWidth !== seen_width) { seen_width = window.innerWidth; draw_all(); } });
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw_all);
const print = () => { draw_all(); draw_while(() => true); };
matchMedia('print').addEventListener('change', print);

export const legend = items => h('ul', { class: 'legend' }, items.map(([name, colour, hatched]) =>
  h('li', {}, h('i', { style: `--swatch:var(--${colour})`, class: hatched && 'hatched' }), name)));
