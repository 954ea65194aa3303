// How long is one round of a worker that decodes with speculation, and how many tokens does it yield?
//
//   none   one iteration, one token of every sequence
//   sd     K draft steps, then an iteration over K + 1 tokens of every sequence
//   ssd    the same iteration beside the draft's tree of K steps over all cached outcomes; after a miss, the backup
// What a scenario leaves open (K, slots, backup) is chosen for the batch by tokens per second, no drafting among the choices.
// Verification is priced as any iteration: with more tokens, the experts they touch, and what they have in common. So is
// every draft step, of a smaller model: its host works as for any.
#pragma once

#include <memory>
#include <optional>

#include "error.hpp"
#include "plan/serving/speculate.hpp"
#include "plan/serving/steps.hpp"

namespace moeline {

struct DecodeRound {
  std::int64_t drafted = 0;     // 0: plain decoding
  double tokens = 1;            // of one sequence
  Iteration iteration;          // of the target
  Seconds time;                 // of the round
  Seconds verify, plain;        // the target's iteration, and one without drafted tokens
  Seconds draft;                // all steps of one sequence's draft
  Seconds tree, messages;       // ssd: drafting for all outcomes; traffic with the draft's devices
  double hit = 0;
  FanOut fan_out;
  Backup backup = Backup::draft;
  std::optional<double> backup_switch;  // batch from which random tokens are the better backup

  Seconds token() const { return time / tokens; }
  double speedup() const { return plain / token(); }  // over plain decoding; below 1 it does not pay
};

class DecodeRounds {
 public:
  // Of a scenario that speculates; `target` and what it refers to outlive this.
  explicit DecodeRounds(const ServingSteps& target);
  ~DecodeRounds();
  DecodeRounds(const DecodeRounds&) = delete;
  DecodeRounds& operator=(const DecodeRounds&) = delete;

  const DecodeRound& at(double sequences, double context) const;  // valid until the next
  // What is open, tried out: plain decoding first unless K is given, then by K; ssd by slots and backup too.
  std::vector<DecodeRound> tried(double sequences, double context) const;
  std::optional<Infeasible> why_not() const;  // the draft cannot be cut over its devices

  // What the draft adds to a device of the target, where it lives there.
  Bytes draft_weights() const;
  Bytes draft_cache(double tokens, double page) const;
  std::int64_t own_devices() const;  // of the draft, beside each worker

 private:
  struct DraftModel;
  Seconds draft_step(double sequences, double context, double tokens_each) const;
  DecodeRound verified(std::int64_t drafted, double sequences, double context, Seconds plain) const;
  DecodeRound in_turn(DecodeRound round, double sequences, double context) const;
  void add_side_by_side(std::vector<DecodeRound>& rounds, const DecodeRound& verified, double sequences, double context) const;
  DecodeRound with_slots(DecodeRound round, double sequences, double context, std::int64_t slots) const;
  Seconds message_time(const DecodeRound& round, double sequences, double context) const;

  const ServingSteps& target_;
  const Speculation& asked_;
  const MoeFfn* moe_ = nullptr;  // of the target
  std::unique_ptr<DraftModel> draft_;
  mutable double sequences_ = 0, context_ = 0;  // of last_
  mutable DecodeRound last_;
};

}  // namespace moeline
