// A training step, or one layer.
import { h, named } from '../dom.js';
import { bytes, count, digits, percent, seconds } from '../format.js';
import { breakdown, operations } from '../parts/breakdown.js';
import { memory } from '../parts/memory.js';
import { roofline } from '../parts/roofline.js';
import { timeline } from '../parts/timeline.js';
import { tilings } from '../parts/tilings.js';
import { helps } from '../parts/tornado.js';
import { again, provenance } from '../parts/provenance.js';
import { question_of } from '../parts/question.js';
import { infeasible } from './infeasible.js';

const figure_of = (name, value, more) => h('div', {}, h('dt', {}, name), h('dd', {}, value, more && h('small', {}, more)));

function train_figures(a) {
  const m = a.memory, cost = a.cost ?? {}, device = a.wafer ? 'wafer' : 'GPU';
  return [figure_of('Throughput', `${count(a.tokens_per_second_per_device)} tok/s`, `a ${device}; ${count(a.tokens_per_second)} in all`),
    figure_of('Model FLOPs', `${percent(a.mfu)} MFU`, `${count(a.model_tflops_per_device)} TFLOP/s, of dense ${a.mfu_peak}`),
    figure_of('Memory', bytes(m.required_bytes), `${percent(m.required_bytes / m.available_bytes, 0)} of ${bytes(m.available_bytes)}`),
    figure_of(a.wafer ? 'Streaming' : 'Network', percent(a.communication?.exposed_share ?? 0), `of the step exposed; ${a.communication?.seconds > 0 ? percent(a.communication.hidden_seconds / a.communication.seconds, 0) : '0 %'} of it hidden`),
    a.power_per_device_watts && figure_of('Energy', `${digits(a.tokens_per_second_per_kilowatt)} tok/s/kW`, `at ${digits(a.power_per_device_watts / 1e3)} kW a device`),
    cost.per_step !== undefined && figure_of('Cost', `${digits(cost.per_step)} ${cost.currency}`, `a step; ${digits(cost.per_million_tokens)} a million tokens`)].filter(Boolean);
}

function sentence(a) {
  if (a.kind === 'layer') return ['One layer takes ', h('b', {}, seconds(a.forward_seconds)), ' forward and ', h('b', {}, seconds(a.backward_seconds)), ' backward.'];
  const t = a.step_time_seconds, floor = !(t.p10 < t.value);
  return ['One step takes ', floor ? 'at least ' : '', h('b', {}, seconds(t.value)), h('span', { class: 'range' }, floor ? `, up to ${seconds(t.p90)}` : `, between ${seconds(t.p10)} and ${seconds(t.p90)} in eight of ten cases`), '.'];
}

export function render(answer, context) {
  if (answer.feasible === false) return infeasible(answer, context);
  const train = answer.kind !== 'layer';
  return {
    kicker: train ? 'Training step' : 'One layer', title: sentence(answer), question: named(question_of(answer), 'span'),
    figures: train ? train_figures(answer) : [], warnings: answer.warnings ?? [],
    sections: [breakdown(answer), helps(answer), memory(answer), tilings(answer), timeline(answer), roofline(answer), ...operations(answer), provenance(answer), again(answer, context.command)],
  };
}
