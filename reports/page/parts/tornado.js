// What would change the answer: inputs moved by a tenth, layouts one step away, parts taken away.
import { axis, figure, legend, name_axis, narrow, tip } from '../charts.js';
import { h } from '../dom.js';
import { bytes, change, digits, percent, seconds } from '../format.js';
import { table } from '../table.js';

const signed = share => h('span', { class: share < -5e-4 ? 'better' : share > 5e-4 ? 'worse' : 'soft' }, change(share, Math.abs(share) < 0.1 ? 2 : 1));

const arrowed = text => text.replaceAll('->', '→');

function tornado(items, alt) {
  return figure(alt, 34 + 25 * items.length, c => {
    const most = Math.max(...items.map(i => Math.abs(i.effect))) * (narrow() ? 2.1 : 1.25);  // with room for the labels
    const less = items.some(i => i.effect < 0), more = items.some(i => i.effect > 0);
    return {
      grid: { left: narrow() ? 150 : 250, right: narrow() ? 8 : 20, top: 4, bottom: 26 },
      xAxis: axis(c, { type: 'value', min: less ? -most : 0, max: more ? most : 0, splitNumber: narrow() ? 2 : 5, axisLabel: { formatter: v => v ? change(v, 1) : '0', showMinLabel: !less, showMaxLabel: !more } }),
      yAxis: name_axis(c, items.map(i => i.name), narrow() ? 150 : 250),
      tooltip: { trigger: 'axis', axisPointer: { type: 'none' }, formatter: ([p]) => tip(items[p.dataIndex].name, items[p.dataIndex].more) },
      series: [{ type: 'bar', barWidth: 15, data: items.map(i => ({ value: i.effect, itemStyle: { color: i.effect < 0 ? c.better : c.worse },
        label: { show: true, position: i.effect < 0 ? 'left' : 'right', color: c.soft, fontSize: 12, formatter: change(i.effect, Math.abs(i.effect) < 0.01 ? 2 : 1) } })) }],
    };
  });
}

export function helps(answer) {
  const page = answer.page ?? answer;
  if (!page.elasticities) return null;
  const inputs = page.elasticities.filter(e => e.kind !== 'workload' && e.effect_of_10_percent !== undefined && Math.abs(e.effect_of_10_percent) >= 5e-4).slice(0, 14)
    .map(e => ({ name: e.name, effect: e.effect_of_10_percent, more: [['now', e.value], ['time', change(e.effect_of_10_percent, 2)], ...(e.ttft_effect_of_10_percent === undefined ? [] : [['first token', change(e.ttft_effect_of_10_percent, 2)]]), ['elasticity', digits(e.elasticity, 3)], ['field', e.pointer]] }));
  const content = [legend([inputs.some(i => i.effect < 0) && ['less time', 'better'], inputs.some(i => i.effect > 0) && ['more time', 'worse']].filter(Boolean)), tornado(inputs, `Change of the time when an input grows by a tenth: ${inputs.slice(0, 6).map(i => `${i.name} ${change(i.effect)}`).join(', ')}`)];
  const layouts = (page.neighbours ?? []).filter(n => n.time_change !== undefined);
  const refused = (page.neighbours ?? []).filter(n => n.time_change === undefined);
  if (layouts.length) {
    content.push(h('h3', {}, 'Layouts one step away'), table([
      { title: 'change', value: n => arrowed(n.change), class: 'name' },
      { title: 'time', number: true, value: n => n.time_change, text: n => signed(n.time_change) },
      { title: 'memory', number: true, value: n => n.required_bytes ?? 0, text: n => n.required_bytes ? bytes(n.required_bytes) : '–' },
    ], layouts, { label: 'Layouts one step away' }));
    if (refused.length) content.push(h('details', {}, h('summary', {}, `${refused.length} cannot run`), table([
      { title: 'change', value: n => arrowed(n.change), class: 'name' }, { title: 'because', value: n => n.reason ?? '', class: 'long' }], refused)));
  }
  const free = (page.without ?? []).filter(f => Math.abs(f.time_change) > 5e-4);
  if (free.length) {
    content.push(h('details', {}, h('summary', {}, 'If a part took no time'), table([
      { title: 'part', value: f => f.name, class: 'name' }, { title: 'as', value: f => f.kind },
      { title: 'time left', number: true, value: f => f.time_seconds, text: f => seconds(f.time_seconds) },
      { title: 'change', number: true, value: f => -f.time_change, text: f => signed(f.time_change) },
      { title: 'held by then', value: f => (f.held_by ?? []).slice(0, 2).map(b => `${b.bound_by.replace(/,.*/, '')} ${percent(b.share, 0)}`).join(', ') }], free, { label: 'Parts taken away' })));
  }
  return { id: 'helps', title: 'What would help', lead: 'Each input raised by a tenth and the question asked again; layout and batch stay as they are.', content };
}
