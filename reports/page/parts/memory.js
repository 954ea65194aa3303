// What one device holds, as areas: the whole is the device's memory, so that what is left over is seen too.
import { axis, figure, legend, narrow, readable_on, tip } from '../charts.js';
import { bytes, percent } from '../format.js';
import { h } from '../dom.js';
import { table } from '../table.js';

const kColours = { weights: 'forward', quantised_weights: 'middle', gradients: 'network', optimizer: 'optimizer', activations: 'backward', kv_cache: 'backward', cache: 'backward', draft: 'network' };
const kOthers = ['backward', 'network', 'optimizer', 'forward', 'waiting'];
const name_of = key => key.replace(/_bytes$/, '').replaceAll('_', ' ');

function treemap(parts, limit, title) {
  const known = parts.some(part => kColours[part.key]), hue = (part, i) => kColours[part.key] ?? (known ? 'waiting' : kOthers[i % 5]), used = parts.reduce((sum, part) => sum + part.bytes, 0);
  const alt = `${title}: ${bytes(used)} of ${bytes(limit)}; ${parts.map(p => `${p.name} ${bytes(p.bytes)}`).join(', ')}`;
  return [legend(parts.map((part, i) => [`${part.name} ${bytes(part.bytes)}`, hue(part, i)])), figure(alt, 260, c => ({
    tooltip: { formatter: p => tip(p.data.name, [['holds', bytes(p.data.value)], ['of the device', percent(p.data.value / limit)]]) },
    series: [{ type: 'treemap', roam: false, nodeClick: false, breadcrumb: { show: false }, left: 0, right: 0, top: 0, bottom: 0, sort: false,
      itemStyle: { borderColor: c.paper, borderWidth: 0, gapWidth: 2 },
      label: { fontSize: 13, lineHeight: 19, overflow: 'truncate', formatter: p => `${p.data.name}\n${bytes(p.data.value)}` },
      data: [...parts.map((part, i) => ({ name: part.name, value: part.bytes, itemStyle: { color: c[hue(part, i)] }, label: { show: part.bytes > 0.08 * limit, color: readable_on(c, c[hue(part, i)]) } })),
        ...(limit > used ? [{ name: 'free', value: limit - used, itemStyle: { color: c.raised, borderColor: c.rule }, label: { show: limit - used > 0.05 * limit, color: c.soft } }] : [])] }],
  }))];
}

// What each pipeline stage holds, against the limit.
function by_stage(answer) {
  const stages = answer.memory.stages ?? [];
  if (stages.length < 2) return [];
  const limit = answer.memory.available_bytes;
  return [h('h3', {}, 'By stage'), figure(stages.map((held, i) => `stage ${i} ${bytes(held)}`).join(', '), 190, c => ({
    grid: { left: 8, right: 8, top: 14, bottom: 8, containLabel: true },
    xAxis: axis(c, { type: 'category', data: stages.map((_, i) => stages.length > 8 || narrow() ? i : `stage ${i}`), splitLine: { show: false } }),
    yAxis: axis(c, { type: 'value', max: Math.max(limit, ...stages), axisLabel: { formatter: v => v ? bytes(v) : '0', showMaxLabel: false } }),
    tooltip: { trigger: 'axis', axisPointer: { type: 'none' }, formatter: ([p]) => tip(`stage ${p.dataIndex}`, [['holds', bytes(p.value)], ['of the device', percent(p.value / limit)]]) },
    series: [{ type: 'bar', barMaxWidth: 40, data: stages.map((held, i) => ({ value: held, itemStyle: { color: i === answer.memory.stage ? c.backward : c.forward } })),
      markLine: { silent: true, symbol: 'none', data: [{ yAxis: limit }], lineStyle: { color: c.worse, type: 'solid', width: 1 }, label: { formatter: bytes(limit), position: 'insideEndTop', color: c.soft } } }] }))];
}

export function memory(answer) {
  const m = answer.memory;
  if (!m?.parts) return null;
  const parts = Object.entries(m.parts).map(([key, value]) => ({ key: key.replace(/_bytes$/, ''), name: name_of(key), bytes: value })).filter(p => p.bytes > 0).sort((a, b) => b.bytes - a.bytes);
  const over = m.required_bytes > m.available_bytes;
  const where = answer.wafer ? 'The wafer' : m.stage === undefined ? 'A device' : `Stage ${m.stage}, which binds,`;
  return { id: 'memory', title: 'Memory of a device',
    lead: `${where} holds ${bytes(m.required_bytes)} of ${bytes(m.available_bytes)}${over ? ', more than there is' : `; ${bytes(m.available_bytes - m.required_bytes)} are left`}. Tensors alone: context, communication buffers and fragmentation come on top.`,
    content: [...treemap(parts, m.available_bytes, 'Memory'), ...by_stage(answer),
      h('details', {}, h('summary', {}, 'As numbers'), table([
        { title: 'part', value: p => p.name, class: 'name' },
        { title: 'bytes', number: true, value: p => p.bytes, text: p => bytes(p.bytes) },
        { title: 'of the device', number: true, value: p => p.bytes, text: p => percent(p.bytes / m.available_bytes) }], parts, { sort: 1 })),
      m.tensors?.length && h('details', {}, h('summary', {}, `${m.tensors.length} tensors kept for backward`), table([
        { title: 'layer', value: t => t.layer }, { title: 'tensor', value: t => t.name, class: 'name' }, { title: 'each', number: true, value: t => t.bytes, text: t => bytes(t.bytes) },
        { title: 'layers', number: true, value: t => t.layers }, { title: 'together', number: true, value: t => t.bytes * t.layers, text: t => bytes(t.bytes * t.layers) }], m.tensors, { sort: 4 }))] };
}
