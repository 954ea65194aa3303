// One step laid out in time: a row a stage, a block a pass of a micro-batch; below, the ops of one pass by lane.
import { axis, figure, legend, narrow, tip } from '../charts.js';
import { h } from '../dom.js';
import { percent, seconds } from '../format.js';

const kKinds = { F: ['forward', 'forward'], B: ['backward', 'backward'], I: ['input gradient', 'backward'], W: ['weight gradient', 'network'], P: ['a pair', 'better'] };

// Blocks as rectangles; `rows` are names, blocks {row, start, finish, colour, about()}.
function blocks(alt, height, rows, list, end) {
  return figure(alt, height, c => ({
    grid: { left: narrow() ? 66 : 92, right: 12, top: 6, bottom: 62 },
    xAxis: axis(c, { type: 'value', min: 0, max: end, axisLabel: { formatter: v => v ? seconds(v) : '0', showMaxLabel: false } }),
    yAxis: axis(c, { type: 'category', inverse: true, data: rows, splitLine: { show: false }, axisLabel: { color: c.ink, fontSize: 12, interval: 0, hideOverlap: rows.length > 16 } }),
    dataZoom: [{ type: 'slider', xAxisIndex: 0, filterMode: 'weakFilter', height: 18, bottom: 8, borderColor: c.faint, fillerColor: 'transparent', handleStyle: { color: c.rule }, moveHandleSize: 0, textStyle: { color: c.soft }, showDetail: false, showDataShadow: false, backgroundColor: c.raised },
      { type: 'inside', xAxisIndex: 0, filterMode: 'weakFilter', zoomOnMouseWheel: 'ctrl', moveOnMouseWheel: false }],
    tooltip: { formatter: p => list[p.dataIndex].about() },
    series: [{ type: 'custom', encode: { x: [1, 2], y: 0 }, clip: true, data: list.map(b => [b.row, b.start, b.finish]), renderItem: (params, api) => {
      const row = api.value(0), [x, y] = api.coord([api.value(1), row]), [right] = api.coord([api.value(2), row]), tall = Math.min(26, 0.76 * api.size([0, 1])[1]);
      return { type: 'rect', shape: { x, y: y - tall / 2, width: Math.max(0.6, right - x - (right - x > 4 ? 0.8 : 0)), height: tall }, style: { fill: c[list[params.dataIndex].colour] } };
    } }] }), { canvas: true });
}

export function timeline(answer) {
  const t = answer.page?.timeline;
  if (!t) return null;
  const stages = t.stages.map((_, i) => `stage ${i}`), used = new Set(), passes = [];
  t.stages.forEach((list, row) => list.forEach(([kind, micro_batch, chunk, start, finish]) => {
    const [what, colour] = kKinds[kind];
    used.add(kind);
    passes.push({ row, start, finish, colour, about: () => tip(`${what}, micro-batch ${micro_batch}`, [['stage', row], ['chunk', chunk], ['begins', seconds(start)], ['takes', seconds(finish - start)]]) });
  }));
  const content = [];
  if (stages.length > 1 || passes.length > 2) content.push(legend([...used].map(kind => kKinds[kind])), blocks(`${stages.length} stages, ${passes.length} passes in ${seconds(t.makespan_seconds)}`, 84 + Math.max(60, Math.min(30, 360 / stages.length) * stages.length), stages, passes, t.makespan_seconds));
  if (t.cut_short) content.push(h('p', { class: 'lead' }, `The first ${passes.length} of ${t.passes} passes; --trace writes all of them.`));
  for (const pass of t.ops ?? []) {
    const list = pass.ops.map(op => ({ row: op.lane === 'network' ? 1 : 0, start: op.start, finish: op.finish, colour: op.lane === 'network' ? 'network' : pass.phase === 'forward' ? 'forward' : 'backward',
      about: () => tip(op.name, [['takes', seconds(op.finish - op.start)], ['of the pass', percent((op.finish - op.start) / pass.seconds)], ['bound by', op.bound_by]]) }));
    content.push(h('h3', {}, `One ${pass.phase} pass of ${pass.where}, ${seconds(pass.seconds)}`), blocks(`Ops of one ${pass.phase} pass by lane`, 150, ['compute', 'network'], list, pass.seconds));
  }
  return { id: 'timeline', title: 'A step in time', lead: 'Drag the ends of the bar below a picture, or turn the wheel with Ctrl, to look closer.', content };
}
