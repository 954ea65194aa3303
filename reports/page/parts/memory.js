// What one device holds, as areas: the whole is the device's memory, so that what is left over is seen too.
import { figure, tip } from '../charts.js';
import { bytes, percent } from '../format.js';
import { h } from '../dom.js';
import { table } from '../table.js';

const kColours = { weights: 'forward', quantised_weights: 'forward', gradients: 'network', optimizer: 'optimizer', activations: 'backward' };
const name_of = key => key.replace(/_bytes$/, '').replaceAll('_', ' ');

function treemap(parts, limit, title) {
  const used = parts.reduce((sum, part) => sum + part.bytes, 0);
  const alt = `${title}: ${bytes(used)} of ${bytes(limit)}; ${parts.map(p => `${p.name} ${bytes(p.bytes)}`).join(', ')}`;
  return figure(alt, 260, c => ({
    tooltip: { formatter: p => tip(p.data.name, [['holds', bytes(p.data.value)], ['of the device', percent(p.data.value / limit)]]) },
    series: [{ type: 'treemap', roam: false, nodeClick: false, breadcrumb: { show: false }, left: 0, right: 0, top: 0, bottom: 0, sort: 'desc',
      itemStyle: { borderColor: c.paper, borderWidth: 0, gapWidth: 2 },
      label: { fontSize: 13, lineHeight: 19, overflow: 'truncate', formatter: p => `${p.data.name}\n${bytes(p.data.value)}` },
      data: [...parts.map(part => ({ name: part.name, value: part.bytes, itemStyle: { color: c[kColours[part.key] ?? 'waiting'] }, label: { color: c.paper } })),
        ...(limit > used ? [{ name: 'free', value: limit - used, itemStyle: { color: c.raised, borderColor: c.rule }, label: { color: c.soft } }] : [])] }],
  }));
}

export function memory(answer) {
  const m = answer.memory;
  if (!m?.parts) return null;
  const parts = Object.entries(m.parts).map(([key, value]) => ({ key: key.replace(/_bytes$/, ''), name: name_of(key), bytes: value })).filter(p => p.bytes > 0);
  const over = m.required_bytes > m.available_bytes;
  const where = answer.wafer ? 'The wafer' : `Stage ${m.stage}, which binds,`;
  return { id: 'memory', title: 'Memory of a device',
    lead: `${where} holds ${bytes(m.required_bytes)} of ${bytes(m.available_bytes)}${over ? ', more than there is' : `; ${bytes(m.available_bytes - m.required_bytes)} are left`}. Tensors alone: context, communication buffers and fragmentation come on top.`,
    content: [treemap(parts, m.available_bytes, 'Memory'),
      h('details', {}, h('summary', {}, 'As numbers'), table([
        { title: 'part', value: p => p.name, class: 'name' },
        { title: 'bytes', number: true, value: p => p.bytes, text: p => bytes(p.bytes) },
        { title: 'of the device', number: true, value: p => p.bytes, text: p => percent(p.bytes / m.available_bytes) }], parts, { sort: 1 }))] };
}
