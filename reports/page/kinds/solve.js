// The input that gives a wanted answer, and the answers at every value tried.
import { axis, figure, narrow, tip } from '../charts.js';
import { h, named } from '../dom.js';
import { by_key, digits, title_of } from '../format.js';
import { again } from '../parts/provenance.js';
import { question_of } from '../parts/question.js';

export function render(answer, context) {
  const samples = (answer.samples ?? []).filter(s => s.value > 0).sort((a, b) => a.value - b.value), key = /_time$|^t[tp][fo]t$/.test(answer.want) ? `${answer.want}_seconds` : /memory/.test(answer.want) ? `${answer.want}_bytes` : answer.want, text = v => by_key(key, v);
  const unit = answer.found?.input.replace(/^[-+.\deE]+\s*/, '') ?? '', name = answer.vary.replace(/^.*\//, '').replaceAll('_', ' ').replace(/\bhbm\b/, 'HBM'), wide = samples.length > 1 && samples.at(-1).value > 20 * samples[0].value;
  const sections = [];
  if (samples.length > 1) sections.push({ id: 'curve', title: 'The answer against the input', lead: 'Values that the search tried; the line is what was asked for.', content: [figure(`${title_of(key)} against ${name}: ${samples.map(s => `${s.input} ${text(s.answer)}`).join(', ')}`, narrow() ? 320 : 400, c => ({
    grid: { left: 8, right: 24, top: 26, bottom: 34, containLabel: true },
    xAxis: axis(c, { type: wide ? 'log' : 'value', min: samples[0].value, max: samples.at(-1).value, name: unit ? `${name}, ${unit}` : name, nameLocation: 'middle', nameGap: 30, axisLabel: { formatter: v => digits(v, 3) } }),
    yAxis: axis(c, { type: 'value', scale: true, axisLabel: { formatter: text } }), tooltip: { formatter: p => p.data.s && tip(text(p.data.value[1]), [[answer.vary.replace(/^.*\//, ''), p.data.s.input]]) },
    series: [{ type: 'line', symbol: 'circle', symbolSize: 6, data: samples.map(s => ({ value: [s.value, s.answer], s })), lineStyle: { color: c.backward, width: 1.5 }, itemStyle: { color: c.backward },
      markLine: { silent: true, symbol: 'none', data: [{ yAxis: answer.wanted }], lineStyle: { color: c.worse, type: 'solid', width: 1 }, label: { formatter: text(answer.wanted), color: c.soft, position: 'insideEndTop' } } },
    ...(answer.found ? [{ type: 'scatter', symbolSize: 12, data: [{ value: [answer.found.value, answer.found.answer], s: answer.found }], itemStyle: { color: c.worse } }] : [])] }))] });
  sections.push(again(answer, answer.set ? `${context.command}\n# the answer: --set ${answer.set.replace('=', "='")}'` : context.command));
  return { kicker: 'Solve', title: answer.found ? [`${title_of(key)} of ${text(answer.wanted)} needs `, h('b', {}, answer.found.input.replace(/^[-+.\deE]+/, number => digits(Number(number))).replace(' ', '\u00a0')), ` of ${name}`, h('span', { class: 'range' }, `; it is ${answer.present} now`), '.'] : ['No value gives it: ', named(answer.reason ?? '', 'span'), '.'],
    question: named(`${question_of(answer)} · ${answer.vary}`, 'span'), figures: [], warnings: [], sections };
}
