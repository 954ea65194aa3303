// What was asked, in a line: of a result of any kind.
const name_of = value => typeof value === 'string' ? value.replace(/^.*\//, '').replace(/\.json$/, '') : value?.base ?? value?.name ?? value?.model_type ?? 'a model of its own';

export function question_of(answer) {
  const s = answer.scenario ?? {};
  return answer.page?.headline ?? [name_of(s.model), `${s.devices} x ${name_of(s.hardware)}`, typeof s.recipe === 'string' ? s.recipe : 'a recipe of its own'].join(' · ');
}
