#include "plan/serving/speculative_rounds.hpp"

#include <algorithm>
#include <cmath>

namespace moeline {
namespace {

double real(std::int64_t value) { return static_cast<double>(value); }

// Drafts longer than this gain nothing at acceptances below 0.95.
constexpr std::int64_t kMostDrafted = 12;
// Bonus tokens per outcome, on average, beyond which the power law adds little: 8^-0.6 = 0.29.
constexpr std::int64_t kMostEach = 8;

// The target's last layer alone, as a head that drafts.
ModelSpec head_of(const ModelSpec& target) {
  ModelSpec head = target;
  head.layers = {target.layers.back()};
  head.mtp_layers.clear();
  return head;
}

Scenario drafting(const Scenario& target) {
  Scenario draft = target;
  const Speculation& asked = target.speculation;
  draft.speculation = {};
  if (asked.draft == Draft::head) {
    draft.model = head_of(target.model);
  } else {
    draft.model = *asked.model;
    draft.recipe = Recipe{.name = "bf16"};
  }
  return draft;
}

ServeLayout draft_layout(const Scenario& target, const ServeLayout& layout) {
  if (target.speculation.draft == Draft::head) return layout;
  return {.tp = target.speculation.kind == SpeculationKind::ssd ? target.speculation.draft_devices : 1};
}

}  // namespace

struct DecodeRounds::DraftModel {
  Scenario scenario;
  ServeLayout layout;
  ServingSteps steps;

  DraftModel(const ServingSteps& target)
      : scenario(drafting(target.scenario())), layout(draft_layout(target.scenario(), target.context().layout)),
        steps(scenario, layout, target.machine().calibration, target.conduct(), target.machine().free) {}
};

DecodeRounds::DecodeRounds(const ServingSteps& target) : target_(target), asked_(target.scenario().speculation) {
  for (const LayerKind& kind : target.scenario().model.kinds) {
    if (const MoeFfn* moe = std::get_if<MoeFfn>(&kind.ffn)) moe_ = moe;
  }
  if (asked_.draft != Draft::ngram) draft_ = std::make_unique<DraftModel>(target);
}

DecodeRounds::~DecodeRounds() = default;

std::optional<Infeasible> DecodeRounds::why_not() const {
  if (draft_ == nullptr) return std::nullopt;
  Parallelism p{.tp = draft_->layout.tp, .pp = draft_->layout.pp, .ep = draft_->layout.ep, .etp = draft_->layout.etp};
  return resolve(p, draft_->layout.devices(), draft_->scenario.model);
}

Bytes DecodeRounds::draft_weights() const {
  return draft_ != nullptr && own_devices() == 0 ? served_weights(draft_->steps.context()) : Bytes{};
}
Bytes DecodeRounds::draft_cache(double tokens, double page) const {
  return draft_ != nullptr && own_devices() == 0 ? served_cache(draft_->steps.context(), tokens, page) : Bytes{};
}
std::int64_t DecodeRounds::own_devices() const { return asked_.kind == SpeculationKind::ssd ? asked_.draft_devices : 0; }

Seconds DecodeRounds::draft_step(double sequences, double context, double tokens_each) const {
  if (draft_ == nullptr || is_free(target_.machine(), "drafting")) return {};
  Seconds step = draft_->steps.time(draft_->steps.decoding(sequences, context, tokens_each));
  if (asked_.draft == Draft::head) {  // hidden state and embedding of the last token, joined
    const double hidden = real(draft_->scenario.model.hidden);
    step += cost(Gemm{.m = sequences * tokens_each, .n = hidden, .k = 2 * hidden}, target_.machine()).time;
  }
  return step;
}

DecodeRound DecodeRounds::verified(std::int64_t drafted, double sequences, double context, Seconds plain) const {
  DecodeRound round;
  round.drafted = drafted;
  round.plain = plain;
  const double tokens_each = real(drafted) + 1;
  round.iteration = target_.decoding(sequences, context, tokens_each);
  if (moe_ != nullptr) round.iteration.distinct = independent_tokens(*moe_, 1, tokens_each, asked_.expert_correlation) / tokens_each;
  round.verify = target_.time(round.iteration);
  round.tokens = tokens_per_round({asked_.acceptance}, drafted);
  return round;
}

DecodeRound DecodeRounds::in_turn(DecodeRound round, double sequences, double context) const {
  round.draft = real(round.drafted) * draft_step(sequences, context, 1);
  round.time = round.draft + round.verify;
  return round;
}

Seconds DecodeRounds::message_time(const DecodeRound& round, double sequences, double context) const {
  const RoundMessages m = round_messages(sequences, round.drafted, std::ceil(context / target_.conduct().page),
                                         target_.scenario().model.vocabulary, asked_.sampled);
  const Group pair{2, target_.context().layout.devices()};
  Seconds time;
  for (const Bytes message : {m.to_draft, m.to_target}) {
    time += cost(Work{Collective{CollectiveKind::send_recv, message, pair}}, target_.machine()).time;
  }
  return time;
}

DecodeRound DecodeRounds::with_slots(DecodeRound round, double sequences, double context, std::int64_t slots) const {
  round.fan_out = whole_fan_out(outcomes({asked_.acceptance}, round.drafted), asked_.cache_exponent, slots);
  round.hit = asked_.hit_rate.value_or(round.fan_out.hit);
  round.tree = real(round.drafted) * draft_step(sequences, context, std::max(1.0, round.fan_out.total()));
  return round;
}

namespace {

DecodeRound with_backup(DecodeRound round, Backup backup, double sequences) {
  OverlappedRound overlapped{.hit = round.hit, .tokens_hit = round.tokens, .tokens_miss = round.tokens,
                             .ahead = round.tree / round.verify, .backup = round.draft / round.verify, .batch = sequences};
  round.backup = backup;
  round.backup_switch = backup_switch(overlapped, 1);
  if (backup == Backup::random) {
    overlapped.tokens_miss = 1;
    overlapped.backup = 0;
  }
  round.tokens = overlapped.hit * overlapped.tokens_hit + (1 - overlapped.hit) * overlapped.tokens_miss;
  round.time = round.messages + round.tokens / tokens_per_verification(overlapped) * round.verify;
  return round;
}

}  // namespace

void DecodeRounds::add_side_by_side(std::vector<DecodeRound>& rounds, const DecodeRound& verified, double sequences, double context) const {
  DecodeRound round = in_turn(verified, sequences, context);
  round.messages = message_time(round, sequences, context);
  const std::int64_t outcomes = round.drafted + 1, given = asked_.cache_slots;
  for (std::int64_t slots = given > 0 ? given : outcomes; slots <= std::max(given, kMostEach * outcomes); slots += outcomes) {
    const DecodeRound cached = with_slots(round, sequences, context, slots);
    for (const Backup backup : {Backup::draft, Backup::random}) {
      if (asked_.backup == Backup::automatic || asked_.backup == backup) rounds.push_back(with_backup(cached, backup, sequences));
    }
    if (given > 0 || cached.tree > cached.verify) break;  // more slots only take longer
  }
}

const DecodeRound& DecodeRounds::at(double sequences, double context) const {
  if (sequences_ == sequences && context_ == context) return last_;
  const std::vector<DecodeRound> rounds = tried(sequences, context);
  last_ = *std::max_element(rounds.begin(), rounds.end(),
                            [](const DecodeRound& a, const DecodeRound& b) { return a.speedup() < b.speedup(); });
  sequences_ = sequences;
  context_ = context;
  return last_;
}

std::vector<DecodeRound> DecodeRounds::tried(double sequences, double context) const {
  DecodeRound plain;
  plain.iteration = target_.decoding(sequences, context, 1);
  plain.time = plain.verify = plain.plain = target_.time(plain.iteration);
  const std::int64_t given = asked_.draft_tokens;
  std::vector<DecodeRound> rounds;
  if (given == 0) rounds.push_back(plain);
  for (std::int64_t drafted = std::max<std::int64_t>(1, given); drafted <= (given > 0 ? given : kMostDrafted); ++drafted) {
    const DecodeRound round = verified(drafted, sequences, context, plain.plain);
    if (asked_.kind == SpeculationKind::sd) {
      rounds.push_back(in_turn(round, sequences, context));
    } else {
      add_side_by_side(rounds, round, sequences, context);
    }
  }
  return rounds;
}

}  // namespace moeline
