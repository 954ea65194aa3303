// Why there is no answer, and what would make one.
import { h, named } from '../dom.js';
import { bytes, digits } from '../format.js';
import { axis, figure, narrow } from '../charts.js';
import { again } from '../parts/provenance.js';
import { question_of } from '../parts/question.js';

export function infeasible(answer, context) {
  const sections = [again(answer, context.command)];
  if (answer.need_bytes && answer.have_bytes) {
    sections.unshift({ id: 'memory', title: 'Memory of a device', lead: `Needs ${bytes(answer.need_bytes)}, has ${bytes(answer.have_bytes)}: ${digits(answer.need_bytes / answer.have_bytes, 3)} times as much.`, content: [
      figure(`Needs ${bytes(answer.need_bytes)}, has ${bytes(answer.have_bytes)}`, 110, c => ({ grid: { left: 60, right: 90, top: 4, bottom: 26 },
        xAxis: axis(c, { type: 'value', splitNumber: narrow() ? 2 : 5, axisLabel: { formatter: v => v ? bytes(v) : '0' } }), yAxis: axis(c, { type: 'category', data: ['has', 'needs'], axisLabel: { color: c.ink, fontSize: 13 } }),
        series: [{ type: 'bar', barWidth: 15, data: [{ value: answer.have_bytes, itemStyle: { color: c.forward } }, { value: answer.need_bytes, itemStyle: { color: c.worse } }], label: { show: true, position: 'right', color: c.soft, formatter: p => bytes(p.value) } }] }))] });
  }
  return { kicker: 'Cannot run', title: [named(answer.reason.replace(/^./u, letter => letter.toUpperCase()), 'span'), '.'], question: named(question_of(answer), 'span'), figures: [],
    warnings: answer.advice ? [{ message: 'What would help', advice: answer.advice }] : [], sections };
}
