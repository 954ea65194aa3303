// What would change the answer: inputs moved by a tenth, layouts one step away, parts taken away.
import { axis, figure, legend, name_axis, narrow, tip } from '../charts.js';
import { h } from '../dom.js';
import { bytes, change, count, digits, percent, seconds } from '../format.js';
import { table } from '../table.js';

const coloured = (share, better) => h('span', { class: Math.abs(share) <= 5e-4 ? 'soft' : better ? 'better' : 'worse' }, change(share, Math.abs(share) < 0.1 ? 2 : 1));
const signed = share => coloured(share, share < 0), signed_more = share => coloured(share, share > 0);  // of times, and of what more is better of

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

// Inputs whose effect is worth a bar, as `of` tells it.
function bars_of(elasticities, of) {
  return elasticities.filter(e => e.kind !== 'workload' && Math.abs(of(e) ?? 0) >= 5e-4).sort((a, b) => Math.abs(of(b)) - Math.abs(of(a))).slice(0, 14)
    .map(e => ({ name: e.name, effect: of(e), more: [['now', e.value], [e.ttft_effect_of_10_percent === undefined ? 'time' : 'a token', change(e.effect_of_10_percent, 2)], ...(e.ttft_effect_of_10_percent === undefined ? [] : [['first token', change(e.ttft_effect_of_10_percent, 2)]]), ['elasticity', digits(e.elasticity, 3)], ['field', e.pointer]] }));
}

function neighbours_table(page, now) {
  const all = page.neighbours ?? [], runs = all.filter(n => n.feasible), refused = all.filter(n => !n.feasible);
  if (!all.length) return [];
  const name = { title: 'change', value: n => arrowed(n.change), class: 'name' };
  const memory = { title: 'memory', number: true, value: n => n.required_bytes ?? 0, text: n => n.required_bytes ? bytes(n.required_bytes) : '–' };
  // A figure with its change, sorted by the change.
  const figure_of = (title, key, text) => ({ title, number: true, value: n => n[key] / now[key] - 1, text: n => h('span', {}, text(n[key]), ' ', signed(n[key] / now[key] - 1)) });
  const columns = now ? [name, figure_of('a token', 'tpot_seconds', seconds), figure_of('first token', 'ttft_seconds', seconds),
    { ...figure_of('tokens/s a device', 'tokens_per_second_per_device', count), text: n => h('span', {}, count(n.tokens_per_second_per_device), ' ', signed_more(n.tokens_per_second_per_device / now.tokens_per_second_per_device - 1)) }, memory]
    : [name, { title: 'time', number: true, value: n => n.time_change, text: n => signed(n.time_change) }, memory];
  const title = now ? 'Deployments one step away' : 'Layouts one step away';
  return [h('h3', {}, title), table(columns, runs, { label: title }),
    refused.length > 0 && h('details', {}, h('summary', {}, `${refused.length} cannot run`), table([name, { title: 'because', value: n => n.reason ?? '', class: 'long' }], refused))];
}

export function helps(answer) {
  const page = answer.page ?? answer;
  if (!page.elasticities) return null;
  const served = answer.ttft_seconds !== undefined, value_of = time => time?.value ?? time;
  const now = served && { tpot_seconds: value_of(answer.tpot_seconds), ttft_seconds: value_of(answer.ttft_seconds), tokens_per_second_per_device: answer.tokens_per_second_per_device };
  const tornado_of = (of, what) => {
    const inputs = bars_of(page.elasticities, of);
    return [legend([inputs.some(i => i.effect < 0) && ['less time', 'better'], inputs.some(i => i.effect > 0) && ['more time', 'worse']].filter(Boolean)), tornado(inputs, `Change of ${what} when an input grows by a tenth: ${inputs.slice(0, 6).map(i => `${i.name} ${change(i.effect)}`).join(', ')}`)];
  };
  const content = tornado_of(e => e.effect_of_10_percent, served ? 'the time of a token' : 'the time');
  if (served) content.push(h('h3', {}, 'The same of the first token'), ...tornado_of(e => e.ttft_effect_of_10_percent, 'the time to the first token'));
  content.push(...neighbours_table(page, now).filter(Boolean));
  const free = (page.without ?? []).filter(f => Math.max(Math.abs(f.time_change), Math.abs(f.ttft_change ?? 0)) > 5e-4);
  if (free.length) {
    content.push(h('details', {}, h('summary', {}, 'If a part took no time'), table([
      { title: 'part', value: f => f.name, class: 'name' }, { title: 'as', value: f => f.kind },
      { title: 'time left', number: true, value: f => f.time_seconds, text: f => seconds(f.time_seconds) },
      { title: 'change', number: true, value: f => -f.time_change, text: f => signed(f.time_change) },
      ...(served ? [{ title: 'first token', number: true, value: f => -f.ttft_change, text: f => signed(f.ttft_change) }] : []),
      { title: 'held by then', value: f => (f.held_by ?? []).slice(0, 2).map(b => `${b.bound_by.replace(/,.*/, '')} ${percent(b.share, 0)}`).join(', ') }], free, { label: 'Parts taken away' })));
  }
  return { id: 'helps', title: 'What would help', lead: 'Each input raised by a tenth and the question asked again; layout and batch stay as they are.', content };
}
