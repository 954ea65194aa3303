// One step laid out in time: a row a stage, a block a pass of a micro-batch; below, the ops of one pass by lane.
import { axis, draw_new, figure, legend, narrow, readable_on, tip, zoom } from '../charts.js';
import { h } from '../dom.js';
import { count, percent, seconds } from '../format.js';

const kKinds = { F: ['forward', 'forward'], B: ['backward', 'backward'], I: ['input gradient', 'backward'], W: ['weight gradient', 'network'], P: ['forward beside backward', 'better'] };
const kRest = ['before and after the pipeline', 'optimizer'];
const moment = time => time ? seconds(time) : '0';
const kHues = ['backward', 'optimizer', 'better', 'forward', 'worse'];

// Blocks {row, start, finish, colour, label, about()} between two times; + and - come closer and go back, arrows move.
function blocks(alt, height, rows, list, [from, to], { left = 64, chosen } = {}) {
  const said = h('span', { role: 'status', 'aria-live': 'polite' }, `${moment(from)} to ${seconds(to)}`);
  const picture = figure(alt, height, c => ({
    grid: { left, right: 12, top: 6, bottom: 58 },
    xAxis: axis(c, { type: 'value', min: from, max: to, splitNumber: narrow() ? 3 : 6, axisLabel: { formatter: v => moment(Number(v.toPrecision(6))), showMinLabel: from === 0, showMaxLabel: false } }),
    yAxis: axis(c, { type: 'category', inverse: true, data: rows, splitLine: { show: false }, axisLabel: { color: c.ink, fontSize: 12, interval: rows.length > 24 ? 'auto' : 0, hideOverlap: rows.length > 24 } }),
    dataZoom: [{ type: 'slider', xAxisIndex: 0, filterMode: 'weakFilter', height: 18, bottom: 8, borderColor: c.faint, fillerColor: 'transparent', handleStyle: { color: c.paper, borderColor: c.soft }, moveHandleSize: 0, textStyle: { color: c.soft }, showDetail: false, showDataShadow: false, backgroundColor: c.raised },
      { type: 'inside', xAxisIndex: 0, filterMode: 'weakFilter', zoomOnMouseWheel: 'ctrl', moveOnMouseWheel: false }],
    tooltip: { formatter: p => list[p.dataIndex].about() },
    series: [{ type: 'custom', encode: { x: [1, 2], y: 0 }, clip: true, data: list.map(b => [b.row, b.start, b.finish]), renderItem: (params, api) => {
      const block = list[params.dataIndex], [x, y] = api.coord([block.start, block.row]), [right] = api.coord([block.finish, block.row]);
      const tall = Math.min(26, 0.76 * api.size([0, 1])[1]), wide = right - x - (right - x > 4 ? 1 : 0), { x: low, width } = params.coordSys;
      const seen = Math.min(right, low + width) - Math.max(x, low);
      return { type: 'rect', shape: { x, y: y - tall / 2, width: Math.max(0.6, wide), height: tall }, style: { fill: c[block.colour] },
        textContent: seen > 8 * block.label.length && tall > 14 ? { style: { text: block.label, fill: readable_on(c, c[block.colour]), fontSize: 11 } } : undefined, textConfig: { position: [Math.max(x, low) - x + seen / 2 - 3.2 * block.label.length, tall / 2 - 5] } };
    } }] }), { canvas: true, click: chosen && (event => chosen(list[event.dataIndex])),
    zoomed: (start, end) => { said.textContent = `${moment(from + start * (to - from))} to ${seconds(from + end * (to - from))}`; } });
  const step = { '+': [0.5, 0], '-': [2, 0], ArrowLeft: [1, -0.25], ArrowRight: [1, 0.25], 0: [Infinity, 0] };
  const button = (key, text, says) => h('button', { type: 'button', 'aria-label': says, onclick: () => zoom(picture, ...step[key]) }, text);
  const tools = h('div', { class: 'toolbar', role: 'group', 'aria-label': 'Zoom', onkeydown: event => { if (step[event.key]) { event.preventDefault(); zoom(picture, ...step[event.key]); } } },
    button('+', '+', 'Closer'), button('-', '−', 'Wider'), button('ArrowLeft', '←', 'Earlier'), button('ArrowRight', '→', 'Later'), button(0, 'Whole', 'Whole'), said);
  return h('div', { class: 'timed' }, tools, picture);
}

function passes_of(t) {
  const list = [];
  t.stages.forEach(({ begins, passes }, row) => {
    let at = begins;
    const rest = ([name, lane, length]) => { list.push({ row, start: at, finish: at + length, colour: kRest[1], label: '', about: () => tip(name, [['lane', lane], ['takes', seconds(length)]]) }); at += length; };
    t.before.forEach(rest);
    at += t.makespan_seconds;
    t.after.forEach(rest);
    for (const [kind, micro_batch, chunk, start, finish, ops] of passes) {
      const [what, colour] = kKinds[kind];
      list.push({ row, start, finish, colour, ops, label: `${micro_batch}`, about: () => tip(`${what}, micro-batch ${count(micro_batch)}`, [['stage', row], ['chunk', chunk], ['begins', seconds(start)], ['takes', seconds(finish - start)]]) });
    }
  });
  return list;
}

// Kinds that share a colour share a line.
const legend_of = kinds => [...new Set(kinds.map(([, colour]) => colour))].map(colour => [kinds.filter(kind => kind[1] === colour).map(([name]) => name).join(', '), colour]);

// The ops of one kind of pass, a row a lane.
function ops_of(t, pass) {
  const busy = new Map();
  for (const [place, lane, start, finish] of pass.ops) if (lane === 0) { const group = t.names[place][1]; busy.set(group, (busy.get(group) ?? 0) + finish - start); }
  const groups = [...busy].sort((a, b) => b[1] - a[1]).map(([name]) => name), hue = group => kHues[groups.indexOf(group)] ?? 'waiting';
  const list = pass.ops.map(([place, lane, start, finish]) => {
    const [name, group, bound_by] = t.names[place];
    return { row: lane, start, finish, colour: lane ? 'network' : hue(group), label: name, about: () => tip(name, [['part', group], ['takes', seconds(finish - start)], ['of the pass', percent((finish - start) / pass.seconds)], ['bound by', bound_by]]) };
  });
  const shown = groups.slice(0, kHues.length).map((name, i) => [name, kHues[i]]);
  return [legend([...shown, groups.length > kHues.length && ['the rest', 'waiting'], pass.ops.some(op => op[1]) && ['exchanges', 'network']].filter(Boolean)),
    blocks(`Ops of one ${kKinds[pass.kind][0]} pass by lane, ${seconds(pass.seconds)}: ${groups.slice(0, 6).map(name => `${name} ${percent(busy.get(name) / pass.seconds)}`).join(', ')}`, 150, ['compute', 'network'], list, [0, pass.seconds], { left: 72 }),
    pass.count > pass.ops.length && h('p', { class: 'lead' }, `The first ${count(pass.ops.length)} of ${count(pass.count)} ops; --trace writes all of them.`)];
}

export function timeline(answer) {
  const t = answer.page?.timeline;
  if (!t) return null;
  const place = h('div'), select = h('select', { onchange: () => show(select.selectedIndex) }, t.ops.map(pass => h('option', {}, `${kKinds[pass.kind][0]}, ${pass.where}, ${seconds(pass.seconds)}`)));
  const show = chosen => { select.selectedIndex = chosen; place.replaceChildren(...ops_of(t, t.ops[chosen]).filter(Boolean)); draw_new(); };
  place.append(...ops_of(t, t.ops[0]).filter(Boolean));
  const below = [h('h3', {}, 'Within one pass'), h('div', { class: 'toolbar' }, h('label', { class: 'grow' }, 'Pass', select)), place];
  if (answer.kind === 'layer') return { id: 'timeline', title: 'The layer in time', lead: 'Operations of each lane, one after the other.', content: below };
  const list = passes_of(t), rows = t.stages.map((_, i) => `stage ${i}`), height = 64 + Math.max(64, Math.min(30, Math.max(12, 480 / rows.length)) * rows.length);
  const kinds = new Set(t.stages.flatMap(stage => stage.passes.map(pass => pass[0]))), ends = list.reduce((last, b) => Math.max(last, b.finish), 0);
  const spans = t.spans.length === 1 ? [[0, ends]] : [[0, t.spans[0][1]], [t.spans[1][0], ends]];
  const work = t.stages.map(({ passes }) => passes.reduce((sum, [, , , start, finish]) => sum + finish - start, 0) / spans.reduce((sum, [from, to]) => sum + to - from, 0));
  const busy = `stage ${work.indexOf(Math.max(...work))} works most, ${percent(Math.max(...work), 0)} of the time, stage ${work.indexOf(Math.min(...work))} least, ${percent(Math.min(...work), 0)}`;
  const chosen = block => { if (block.ops !== undefined) show(block.ops); };
  const picture = (span, what) => blocks(`${what}: ${rows.length} stages from ${moment(span[0])} to ${seconds(span[1])}, ${count(t.passes)} passes in all; ${busy}`, height, rows, list.filter(b => b.start >= span[0] && b.finish <= span[1]), span, { chosen });
  const between = t.spans.length === 2 && spans[1][0] - spans[0][1];
  return { id: 'timeline', title: 'The step in time',
    lead: `Every stage's passes; numbers are micro-batches. Between them it waits. + and −, the bar below a picture or Ctrl and the wheel look closer; a block that is clicked shows its operations below.${between ? ` Of ${count(t.passes)} passes the beginning and the end are drawn: in the ${seconds(between)} between them every stage repeats its beat.` : ''}`,
    content: [legend(legend_of([...[...kinds].map(kind => kKinds[kind]), ...(list.some(b => b.ops === undefined) ? [kRest] : [])])),
      ...(between ? [h('h3', {}, 'The beginning'), picture(spans[0], 'The beginning of the step'), h('h3', {}, 'The end'), picture(spans[1], 'The end of the step')] : [picture(spans[0], 'The step')]), ...below] };
}
