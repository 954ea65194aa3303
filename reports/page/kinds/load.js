// Ways to load a checkpoint, by what each second goes into.
import { axis, figure, name_axis, narrow, tip } from '../charts.js';
import { h, named } from '../dom.js';
import { bytes, seconds } from '../format.js';
import { again, provenance } from '../parts/provenance.js';
import { table } from '../table.js';

const kParts = [['read', 'read_seconds', 'forward'], ['copy to the device', 'copy_seconds', 'backward'], ['pack', 'pack_seconds', 'optimizer']];
const name_of = plan => `${plan.loader} ${plan.placement.replaceAll('_', ' ')}${plan.ahead ? ', ahead' : ''}`;

export function render(answer, context) {
  const plans = answer.plans.filter(plan => plan.feasible).sort((a, b) => a.load_time_seconds - b.load_time_seconds), refused = answer.plans.filter(plan => !plan.feasible), best = plans[0];
  const sections = [];
  if (plans.length) {
    sections.push({ id: 'plans', title: 'Ways to load it', lead: 'Whole time of each way, quickest first; parts may overlap, so they need not add up to it.', content: [
      figure(plans.map(p => `${name_of(p)} ${seconds(p.load_time_seconds)}`).join(', '), 40 + 25 * plans.length, c => ({
        grid: { left: narrow() ? 140 : 230, right: 70, top: 4, bottom: 26 }, xAxis: axis(c, { type: 'value', splitNumber: narrow() ? 3 : 6, axisLabel: { formatter: v => v ? seconds(v) : '0' } }),
        yAxis: name_axis(c, plans.map(name_of), narrow() ? 140 : 230),
        tooltip: { trigger: 'axis', axisPointer: { type: 'none' }, formatter: ([p]) => tip(name_of(plans[p.dataIndex]), [...kParts.map(([name, key]) => [name, seconds(plans[p.dataIndex][key])]), ['device peak', bytes(plans[p.dataIndex].device_peak_bytes)]]) },
        series: [{ type: 'bar', barWidth: 15, data: plans.map(p => p.load_time_seconds), itemStyle: { color: c.backward }, label: { show: true, position: 'right', color: c.soft, formatter: p => seconds(p.value) } }] })),
      table([{ title: 'way', value: name_of, class: 'name' }, { title: 'time', number: true, value: p => p.load_time_seconds, text: p => seconds(p.load_time_seconds) }, ...kParts.map(([title, key]) => ({ title, number: true, value: p => p[key], text: p => seconds(p[key]) })),
        { title: 'device peak', number: true, value: p => p.device_peak_bytes, text: p => bytes(p.device_peak_bytes) }, { title: 'host peak', number: true, value: p => p.host_peak_bytes, text: p => bytes(p.host_peak_bytes) }], plans)] });
  }
  if (refused.length) sections.push({ id: 'refused', title: 'Ways that do not fit', content: [table([{ title: 'way', value: name_of, class: 'name' }, { title: 'because', value: p => p.reason, class: 'long' }], refused)] });
  return { kicker: 'Loading a checkpoint', title: best ? ['It is on the devices after ', h('b', {}, seconds(best.load_time_seconds)), h('span', { class: 'range' }, ` by the quickest way, ${name_of(best)}`), '.'] : ['No way fits.'],
    question: named(`${answer.model} · ${bytes(answer.checkpoint_bytes)} onto ${answer.devices} x ${answer.hardware}`, 'span'), figures: [], warnings: [], sections: [...sections, provenance(answer), again(answer, context.command)] };
}
