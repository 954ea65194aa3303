// The rows of a sweep: a table to sort and filter, a heat map over two axes, a Pareto front, and the rows as CSV.
import { axis, draw_all, draw_new, figure, narrow, tip } from '../charts.js';
import { download, h, named, shortened } from '../dom.js';
import { by_key, count, digits, title_of } from '../format.js';
import { again } from '../parts/provenance.js';
import { kept } from '../parts/filter.js';

const kRow = 27, kShown = 40;

function columns_of(answer) {
  return answer.columns.map(column => {
    const distinct = column.distinct ?? null, at = distinct && Uint32Array.from(column.at), values = column.values ?? Array.from(at, place => distinct[place]);
    const kinds = distinct ?? values, numeric = kinds.some(value => typeof value === 'number') && kinds.every(value => typeof value === 'number' || value === null || value === '');
    return { name: column.name, title: title_of(column.name), values, numeric, distinct, at };
  });
}

const better_is_more = name => /tokens|mfu|tflops|throughput|speed/.test(name);
const varies = c => c.values.some(value => value !== c.values[0]);
const varied = columns => columns.filter(c => c.name.startsWith('/'));
const figures = columns => columns.filter(c => c.numeric && !c.name.startsWith('/'));

const text_of = (c, value) => c.numeric ? (value === null || value === '' ? '–' : by_key(c.name, value)) : shortened(label_of(value));

// Only the rows in view exist as elements, and take other texts when others come into view.
function row_table(columns, state) {
  const filler = () => h('tr', { 'aria-hidden': 'true' }, h('td', { colspan: columns.length, style: 'padding:0;border:0' }));
  const top = filler(), bottom = filler();
  const lines = Array.from({ length: Math.min(kShown, columns[0].values.length) }, () => {
    const cells = columns.map(c => h('td', { class: c.numeric && 'number' }, h('bdi', { class: 'named' }, '')));
    return { row: h('tr', {}, cells), cells, texts: cells.map(cell => cell.firstChild) };
  });
  const body = h('tbody', {}, top, lines.map(line => line.row), bottom);
  const heads = columns.map((c, i) => h('th', { class: c.numeric && 'number', scope: 'col', title: c.name }, h('button', { type: 'button', onclick: () => {
    state.down = state.sort === i ? !state.down : c.numeric;
    state.sort = i;
    state.order();
    state.keep();
  } }, c.title)));
  const table = h('table', { 'aria-label': 'Rows', 'aria-rowcount': columns[0].values.length }, h('thead', {}, h('tr', {}, heads)), body);
  const box = h('div', { class: 'rows', tabindex: 0, role: 'region', 'aria-label': 'Rows of the sweep' }, table);
  let scrolled = 0;  // asked of the box only when it moves: asking lays out what has just changed
  const paint = () => {
    const first = Math.max(0, Math.min(Math.floor(scrolled / kRow) - 8, state.rows.length - lines.length)), last = Math.min(state.rows.length, first + lines.length);
    top.firstChild.style.height = `${first * kRow}px`;
    bottom.firstChild.style.height = `${(state.rows.length - last) * kRow}px`;
    lines.forEach(({ row, cells, texts }, line) => {
      row.hidden = first + line >= last;
      if (row.hidden) return;
      const at = state.rows[first + line];
      row.setAttribute('aria-rowindex', first + line + 2);
      columns.forEach((c, i) => {
        const value = c.values[at], text = text_of(c, value);
        if (texts[i].textContent !== text) texts[i].textContent = text;
        if (typeof value === 'string' && value.length > 30) cells[i].title = value.slice(0, 500); else cells[i].removeAttribute('title');
      });
    });
    heads.forEach((head, i) => head.setAttribute('aria-sort', i !== state.sort ? 'none' : state.down ? 'descending' : 'ascending'));
  };
  box.addEventListener('scroll', () => requestAnimationFrame(() => { scrolled = box.scrollTop; paint(); }));
  const from_top = () => {
    if (scrolled > 0) box.scrollTop = scrolled = 0;
    box.style.height = `${Math.min(560, 40 + kRow * Math.max(2, state.rows.length + 0.5))}px`;
    paint();
  };
  return { box, from_top };
}

const select = (label, columns, now, changed) => h('label', {}, label, h('select', { onchange: event => changed(columns[event.target.selectedIndex]) },
  columns.map(c => h('option', { selected: c === now }, c.title))));

const levels = (column, rows) => {
  const found = new Set();
  for (const row of rows) found.add(column.values[row]);
  return [...found].sort((a, b) => typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true }));
};
const label_of = value => typeof value === 'number' ? digits(value, 6) : value === null ? '–' : typeof value === 'object' ? JSON.stringify(value) : String(value);

// "3 s to 5 s" of what a column holds.
function range_of(column, rows) {
  let least = Infinity, most = -Infinity;
  for (const row of rows) { const value = column.values[row]; if (typeof value === 'number') { least = Math.min(least, value); most = Math.max(most, value); } }
  return `${by_key(column.name, least)} to ${by_key(column.name, most)}`;
}

function heat_option(c, state, x, y, z) {
  const rows = state.rows.filter(row => typeof z.values[row] === 'number');
  const xs = levels(x, rows).slice(0, 60), ys = levels(y, rows).slice(0, 60), more = better_is_more(z.name), best = new Map();
  const at_x = new Map(xs.map((v, i) => [v, i])), at_y = new Map(ys.map((v, i) => [v, i]));
  for (const row of rows) {
    const i = at_x.get(x.values[row]), j = at_y.get(y.values[row]);
    if (i === undefined || j === undefined) continue;
    const key = j * xs.length + i, value = z.values[row];
    if (!best.has(key) || (more ? value > best.get(key) : value < best.get(key))) best.set(key, value);
  }
  const data = [...best].map(([key, value]) => [key % xs.length, Math.floor(key / xs.length), value]);
  const values = data.map(d => d[2]);
  return {
    grid: { left: 8, right: 8, top: 8, bottom: 66, containLabel: true },
    xAxis: axis(c, { type: 'category', data: xs.map(label_of), name: x.title, nameLocation: 'middle', nameGap: 28, splitLine: { show: false }, axisLabel: { width: 90, overflow: 'truncate' } }),
    yAxis: axis(c, { type: 'category', data: ys.map(label_of), name: narrow() ? '' : y.title, nameTextStyle: { align: 'left', color: c.soft }, splitLine: { show: false }, axisLabel: { width: narrow() ? 70 : 130, overflow: 'truncate' } }),
    visualMap: { min: Math.min(...values), max: Math.max(...values), orient: 'horizontal', left: 'center', bottom: 0, itemHeight: 180, itemWidth: 10, textStyle: { color: c.soft, fontSize: 12 }, formatter: v => by_key(z.name, v), calculable: false,
      inRange: { color: more ? [c.faint, c.middle, c.most] : [c.most, c.middle, c.faint] }, text: [by_key(z.name, Math.max(...values)), by_key(z.name, Math.min(...values))] },
    tooltip: { formatter: p => tip(by_key(z.name, p.data[2]), [[x.title, label_of(xs[p.data[0]])], [y.title, label_of(ys[p.data[1]])], ['shown', more ? 'the most here' : 'the least here']]) },
    series: [{ type: 'heatmap', data, itemStyle: { borderColor: c.paper, borderWidth: 2 }, label: { show: xs.length * ys.length <= 120 && xs.length <= (narrow() ? 5 : 12), fontSize: 11, formatter: p => by_key(z.name, p.data[2]) } }],
  };
}

// All rows that have both figures, the best by x first, among equals the best by y.
function order_of(rows, x, y) {
  const sign_x = better_is_more(x.name) ? -1 : 1, sign_y = better_is_more(y.name) ? -1 : 1;
  return rows.filter(row => typeof x.values[row] === 'number' && typeof y.values[row] === 'number')
    .sort((a, b) => sign_x * (x.values[a] - x.values[b]) || sign_y * (y.values[a] - y.values[b]));
}

// Rows, in that order, that no other beats in both.
function front_of(ordered, y) {
  const sign = better_is_more(y.name) ? -1 : 1, front = [];
  let best = Infinity;
  for (const row of ordered) {
    if (sign * y.values[row] < best) { best = sign * y.values[row]; front.push(row); }
  }
  return front;
}

function pareto_option(c, state, columns, { x, y, ordered }) {
  const rows = ordered.filter(row => state.holds[row]), front = front_of(rows, y), keys = varied(columns);
  const about = row => tip(by_key(y.name, y.values[row]), [[x.title, by_key(x.name, x.values[row])], ...keys.map(k => [k.title, label_of(k.values[row])])]);
  const value = row => [x.values[row], y.values[row], row];
  const thin = rows.length > 20000 ? rows.filter((_, i) => i % Math.ceil(rows.length / 20000) === 0) : rows;
  return {
    grid: { left: 8, right: 24, top: 28, bottom: 34, containLabel: true },
    xAxis: axis(c, { type: 'value', scale: true, name: x.title, nameLocation: 'middle', nameGap: 30, axisLabel: { formatter: v => by_key(x.name, v) } }),
    yAxis: axis(c, { type: 'value', scale: true, name: y.title, nameTextStyle: { align: 'left', color: c.soft }, axisLabel: { formatter: v => by_key(y.name, v) } }),
    tooltip: { formatter: p => about(p.data[2]) },
    series: [{ type: 'scatter', data: Array.from(thin, value), symbolSize: thin.length > 2000 ? 3 : 6, itemStyle: { color: c.waiting, opacity: 0.75 }, large: thin.length > 4000 },
      { type: 'line', data: front.map(value), step: better_is_more(x.name) ? 'start' : 'end', symbol: 'circle', symbolSize: 8, showSymbol: true, lineStyle: { color: c.backward, width: 1.5 }, itemStyle: { color: c.backward } }],
  };
}

export function csv_of(columns, rows) {
  const cell = value => {
    const text = value === null ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = [columns.map(c => cell(c.name)).join(',')];
  for (const row of rows) lines.push(columns.map(c => cell(c.values[row])).join(','));
  return lines.join('\n') + '\n';
}

export function render(answer, context) {
  const columns = columns_of(answer), all = Uint32Array.from({ length: answer.rows }, (_, i) => i);
  const numbers = figures(columns), axes = [...varied(columns), ...columns.filter(c => !c.name.startsWith('/') && c.distinct && c.distinct.length > 1 && c.distinct.length <= 60)].filter(varies);
  const find = name => columns.findIndex(c => c.name === name);
  const main = numbers.find(c => /tokens_per_second_per_device/.test(c.name)) ?? numbers.find(c => /step_time|forward_seconds/.test(c.name)) ?? numbers[0];
  const feasible = columns[find('feasible')];
  const state = { all, rows: all, ordered: all, holds: kept('', columns, answer.rows), sort: main ? columns.indexOf(main) : 0, down: main ? better_is_more(main.name) : true };
  const view = row_table(columns, state), said = h('span', { role: 'status', 'aria-live': 'polite' });
  // Sorted once a column, so that a filter only walks through; rows without a figure come last.
  state.order = () => {
    const c = columns[state.sort], sign = state.down ? -1 : 1, none = Infinity;
    const text = new Intl.Collator(undefined, { numeric: true }), names = c.numeric ? [] : [...new Set(c.values.map(String))].sort(text.compare), places = new Map(names.map((name, i) => [name, i]));
    const ranks = Float64Array.from(c.values, value => c.numeric ? (typeof value === 'number' ? sign * value : none) : sign * places.get(String(value)));
    state.ordered = Uint32Array.from(all).sort((a, b) => ranks[a] === ranks[b] ? a - b : ranks[a] - ranks[b]);
  };
  state.keep = () => {
    state.rows = state.ordered.filter(row => state.holds[row]);
    said.textContent = `${count(state.rows.length)} of ${count(answer.rows)} rows`;
    view.from_top();
  };
  let waiting = null;
  const filter = h('input', { type: 'search', placeholder: 'mfu > 0.3, ep = 16, or any word', 'aria-label': 'Filter rows', oninput: () => {
    const begin = performance.now();
    state.holds = kept(filter.value, columns, answer.rows);
    state.keep();
    requestAnimationFrame(() => setTimeout(() => { filter.dataset.took = Math.round(performance.now() - begin); }));  // when it is seen
    clearTimeout(waiting);
    waiting = setTimeout(draw_all, 120);
  } });
  const toolbar = h('div', { class: 'toolbar' }, h('label', { class: 'grow' }, 'Filter', filter), said,
    h('button', { type: 'button', onclick: () => download('sweep.csv', 'text/csv', csv_of(columns, state.rows)) }, 'Download CSV'));
  const sections = [{ id: 'rows', title: 'Rows', lead: 'Heads sort. The filter takes conditions on columns, joined by commas, and words; charts below show what is kept.', content: [toolbar, view.box] }];
  const [one, two] = varied(columns).filter(varies);
  if (one && !two && numbers.length) sections.push(curve_section(state, one, numbers, main));
  else if (axes.length >= 2 && numbers.length) sections.push(heat_section(state, axes, numbers, main));
  if (numbers.length >= 2) sections.push(pareto_section(state, columns, numbers, main));
  sections.push(again(answer, context.command));
  state.order();
  requestAnimationFrame(state.keep);
  const runs = feasible ? all.filter(row => feasible.values[row] === true) : all;
  const best = main && runs.filter(row => typeof main.values[row] === 'number').reduce((a, b) => a === null || (better_is_more(main.name) ? main.values[b] > main.values[a] : main.values[b] < main.values[a]) ? b : a, null);
  return { kicker: 'Sweep', title: [`${count(answer.rows)} points, `, h('b', {}, `${count(runs.length)} run`), best !== null && best !== undefined ? h('span', { class: 'range' }, `; the best ${main.title} is ${by_key(main.name, main.values[best])}`) : '', '.'],
    question: best !== null && best !== undefined && varied(columns).length ? named('at ' + varied(columns).map(c => `${c.title} ${label_of(c.values[best])}`).join(', '), 'span') : null, figures: [], warnings: [], sections };
}

// The best row of each value of the one field that varies.
function curve_section(state, x, numbers, main) {
  const pick = { y: main }, box = h('div');
  const best = () => {
    const sign = better_is_more(pick.y.name) ? -1 : 1, found = new Map();
    for (const row of state.rows) {
      const value = pick.y.values[row], at = x.values[row];
      if (typeof value === 'number' && !(sign * found.get(at) <= sign * value)) found.set(at, value);
    }
    return levels(x, state.rows).filter(at => found.has(at)).map(at => [label_of(at), found.get(at)]);
  };
  const fill = () => box.replaceChildren(figure(`${pick.y.title} against ${x.title}: ${best().slice(0, 12).map(([at, value]) => `${at}: ${by_key(pick.y.name, value)}`).join(', ')}`, narrow() ? 280 : 340, c => {
    const points = best();
    return { grid: { left: 8, right: 24, top: 28, bottom: 34, containLabel: true },
      xAxis: axis(c, { type: 'category', data: points.map(([at]) => shortened(at, 24)), name: x.title, nameLocation: 'middle', nameGap: 30, splitLine: { show: false } }),
      yAxis: axis(c, { type: 'value', name: pick.y.title, nameTextStyle: { align: 'left', color: c.soft }, axisLabel: { formatter: v => by_key(pick.y.name, v) } }),
      tooltip: { trigger: 'axis', axisPointer: { type: 'none' }, formatter: ([p]) => tip(`${x.title} ${points[p.dataIndex][0]}`, [[pick.y.title, by_key(pick.y.name, p.value)]]) },
      series: [{ type: x.numeric ? 'line' : 'bar', barMaxWidth: 40, symbol: 'circle', symbolSize: 7, data: points.map(([, value]) => value), lineStyle: { color: c.backward, width: 1.5 }, itemStyle: { color: c.backward },
        label: { show: points.length <= (narrow() ? 5 : 12), position: 'top', color: c.soft, fontSize: 11, formatter: p => by_key(pick.y.name, p.value) } }] };
  }));
  fill();
  return { id: 'curve', title: `Against ${x.title}`, lead: 'Where several rows share a value, the best of them; values that cannot run are left out.', content: [
    h('div', { class: 'toolbar' }, select('Up', numbers, pick.y, column => { pick.y = column; fill(); draw_new(); })), box] };
}

function heat_section(state, axes, numbers, main) {
  const pick = { x: axes[0], y: axes[1], z: main };
  const box = h('div');
  const fill = () => box.replaceChildren(figure(`${pick.z.title} over ${pick.x.title} and ${pick.y.title}: ${range_of(pick.z, state.rows)}`, Math.min(narrow() ? 340 : 400, 90 + 62 * levels(pick.y, state.rows).length), c => heat_option(c, state, pick.x, pick.y, pick.z), { canvas: true }));
  const again_with = key => column => { pick[key] = column; fill(); draw_new(); };
  fill();
  return { id: 'heat', title: 'Two fields against each other', lead: 'Where several rows share a cell, the best of them.', content: [
    h('div', { class: 'toolbar' }, select('Across', axes, pick.x, again_with('x')), select('Up', axes, pick.y, again_with('y')), select('Colour', numbers, pick.z, again_with('z'))), box] };
}

function pareto_section(state, columns, numbers, main) {
  const memory = numbers.find(c => /memory_required/.test(c.name)) ?? numbers.find(c => c !== main);
  const pick = { x: memory, y: main }, box = h('div');
  const fill = () => {
    pick.ordered = order_of(state.all, pick.x, pick.y);
    box.replaceChildren(figure(`${pick.y.title}, ${range_of(pick.y, state.all)}, against ${pick.x.title}, ${range_of(pick.x, state.all)}; ${count(front_of(pick.ordered, pick.y).length)} rows are on the Pareto front`, narrow() ? 340 : 420, c => pareto_option(c, state, columns, pick), { canvas: true }));
  };
  const again_with = key => column => { pick[key] = column; fill(); draw_new(); };
  fill();
  return { id: 'pareto', title: 'Pareto front', lead: 'Rows on the line are beaten by no other in both figures; more is better of throughput, less of the rest.', content: [
    h('div', { class: 'toolbar' }, select('Across', numbers, pick.x, again_with('x')), select('Up', numbers, pick.y, again_with('y'))), box] };
}
