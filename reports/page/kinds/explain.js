// What `explain -o json` saved: no breakdown, but ops and what would help.
import { h } from '../dom.js';
import { seconds } from '../format.js';
import { operations } from '../parts/breakdown.js';
import { again, provenance } from '../parts/provenance.js';
import { helps } from '../parts/tornado.js';
import { question_of } from '../parts/question.js';

export const render = (answer, context) => ({
  kicker: 'What holds it back', title: answer.ttft_seconds === undefined ? ['It takes ', h('b', {}, seconds(answer.time_seconds)), '.']
    : ['A token takes ', h('b', {}, seconds(answer.tpot_seconds)), ', the first one ', h('b', {}, seconds(answer.ttft_seconds)), '.'], question: question_of(answer), figures: [], warnings: [],
  sections: [helps(answer), ...operations(answer), provenance(answer), again(answer, context.command)],
});
