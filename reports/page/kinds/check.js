// Predictions against measurements: errors by family, with sign; each family's rows against its band.
import { axis, draw_new, figure, narrow, tip } from '../charts.js';
import { h } from '../dom.js';
import { change, count, percent, seconds } from '../format.js';
import { again } from '../parts/provenance.js';
import { table } from '../table.js';

const name_of = g => [g.device, g.family, g.library, g.dtype].filter(Boolean).join(' · ');

const figure_of = (title, key, text) => ({ title, number: true, value: g => g[key], text: g => g.n ? text(g[key]) : '–' });
const kRows = { title: 'rows', number: true, value: g => g.n, text: g => count(g.n) }, kMean = figure_of('mean', 'mean_abs_error', percent), kBias = figure_of('bias', 'bias', change), kInside = figure_of('inside', 'coverage_p10_p90', v => percent(v, 0));

function scatter(group) {
  const { predicted_seconds: predicted, measured_seconds: measured, measured_over_predicted: bands } = group.points;
  const all = [...predicted, ...measured].filter(v => v > 0), low = 10 ** Math.floor(Math.log10(Math.min(...all))), high = 10 ** Math.ceil(Math.log10(Math.max(...all)));
  const band = key => bands.length ? [...bands.map((b, i) => [Math.max(low, b.above_seconds), b[key]]), [high, bands.at(-1)[key]]].map(([x, f]) => [x, x * f]) : [];
  return figure(`Predicted against measured time of ${name_of(group)}`, narrow() ? 320 : 380, c => ({
    grid: { left: 8, right: 16, top: 12, bottom: 34, containLabel: true },
    xAxis: axis(c, { type: 'log', min: low, max: high, name: 'predicted', nameLocation: 'middle', nameGap: 30, axisLabel: { formatter: seconds } }),
    yAxis: axis(c, { type: 'log', min: low, max: high, axisLabel: { formatter: seconds } }),
    tooltip: { formatter: p => tip(`predicted ${seconds(p.data[0])}`, [['measured', seconds(p.data[1])], ['error', change(p.data[0] / p.data[1] - 1)]]) },
    series: [{ type: 'line', data: [[low, low], [high, high]], symbol: 'none', silent: true, lineStyle: { color: c.soft, width: 1 } },
      ...['p10', 'p90'].map(key => ({ type: 'line', data: band(key), symbol: 'none', silent: true, lineStyle: { color: c.optimizer, width: 1.2, type: 'dashed' } })),
      { type: 'scatter', data: predicted.map((x, i) => [x, measured[i]]), symbolSize: predicted.length < 200 ? 8 : 4, itemStyle: { color: c.backward, opacity: 0.5 } }] }), { canvas: true, caption: `Measured up, predicted across.${bands.length ? ' Dashed: the band that eight of ten rows should lie in.' : ''}` });
}

function histogram(group) {
  const errors = group.points.predicted_seconds.map((x, i) => x / group.points.measured_seconds[i] - 1), width = 0.02, bins = new Map();
  for (const e of errors) { const bin = Math.round(Math.max(-0.5, Math.min(0.5, e)) / width); bins.set(bin, (bins.get(bin) ?? 0) + 1); }
  const data = Array.from({ length: 51 }, (_, i) => [(i - 25) * width, bins.get(i - 25) ?? 0]);
  return figure(`Errors of ${name_of(group)}: mean of their size ${percent(group.mean_abs_error)}, bias ${change(group.bias)}`, narrow() ? 260 : 380, c => ({
    grid: { left: 8, right: 16, top: 12, bottom: 34, containLabel: true },
    xAxis: axis(c, { type: 'value', min: -0.5, max: 0.5, name: 'predicted over measured − 1', nameLocation: 'middle', nameGap: 30, axisLabel: { formatter: v => change(v, 0) } }), yAxis: axis(c, { type: 'value', minInterval: 1 }),
    tooltip: { formatter: p => tip(`${change(p.data[0])} ± 1 %`, [['rows', count(p.data[1])]]) },
    series: [{ type: 'bar', data, barWidth: '92%', itemStyle: { color: c.forward }, markLine: { silent: true, symbol: 'none', data: [{ xAxis: 0 }], lineStyle: { color: c.soft, type: 'solid' }, label: { show: false } } }] }), { caption: 'How many rows erred by how much; left of zero the prediction is too fast. The ends gather what lies beyond.' });
}

// Times alone make the headline: memory has errors of another kind.
export function render(answer, context) {
  const groups = answer.groups ?? [], judged = groups.filter(g => g.n > 0 && g.family !== 'training_memory'), rows = judged.reduce((sum, g) => sum + g.n, 0);
  const mean = judged.reduce((sum, g) => sum + g.n * g.mean_abs_error, 0) / rows, bias = judged.reduce((sum, g) => sum + g.n * g.bias, 0) / rows;
  const drawn = judged.filter(g => g.points?.predicted_seconds?.length > 1).sort((a, b) => b.n - a.n), box = h('div', { class: 'pair' });
  const pick = group => box.replaceChildren(scatter(group), histogram(group));
  const sections = [];
  if (drawn.length) {
    pick(drawn[0]);
    sections.push({ id: 'rows', title: 'Predicted against measured', content: [h('div', { class: 'toolbar' }, h('label', { class: 'grow' }, 'Family', h('select', { onchange: event => { pick(drawn[event.target.selectedIndex]); draw_new(); } }, drawn.map(g => h('option', {}, `${name_of(g)} (${count(g.n)} rows)`))))), box] });
  }
  sections.push({ id: 'families', title: 'Errors by family', lead: 'Of predicted over measured; minus is too fast. Inside: the share of rows in the band that is printed with a prediction, which should be 80\u00a0%.', content: [h('div', { class: 'tall' }, table(narrow() ? [{ title: 'family', value: name_of, class: 'name' }, kRows, kMean, kBias, kInside] : [
    { title: 'device', value: g => g.device, class: 'short' }, { title: 'family', value: g => g.family, class: 'name' }, { title: 'library', value: g => g.library }, { title: 'format', value: g => g.dtype },
    kRows, kMean, figure_of('median', 'median_abs_error', percent),
    figure_of('p90', 'p90_abs_error', percent), kBias, kInside,
    { title: 'source', value: g => g.source + (g.borrowed_from ? ` (${g.borrowed_from})` : '') }], groups, { sort: narrow() ? 1 : 4 }))] });
  const left = groups.flatMap(g => Object.entries(g.skipped ?? {}).map(([reason, n]) => ({ family: name_of(g), reason, n })));
  if (left.length || answer.unread?.length) sections.push({ id: 'left', title: 'Rows left out', content: [h('div', { class: 'tall' }, table([{ title: 'family', value: r => r.family, class: 'name' }, { title: 'because', value: r => r.reason, class: 'long' }, { title: 'rows', number: true, value: r => r.n, text: r => r.n === null ? '–' : count(r.n) }],
    [...left, ...(answer.unread ?? []).map(u => ({ family: u.file, reason: u.reason, n: null }))]))] });
  sections.push(again(answer, context.command));
  return { kicker: answer.kind === 'calibrate' ? 'Calibration of a machine' : 'Check against measurements', title: rows ? ['Predictions err by ', h('b', {}, percent(mean)), h('span', { class: 'range' }, ` on ${count(rows)} rows of ${judged.length === 1 ? 'one family' : `${judged.length} families`}, bias ${change(bias)}`), '.'] : ['No row could be judged.'],
    question: answer.machine, figures: [], warnings: [], sections };
}
