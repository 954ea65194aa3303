// How much of a long run's time trains, when devices fail?
//
//   M = device MTBF / devices       interval t between checkpoints of d each, restart R
//   effective = t / (M exp(R/M) (exp((t+d)/M) - 1))          failures exponential, also inside checkpoints and restarts
//   best t = sqrt(2 d M) (1 + sqrt(d/2M)/3 + d/(18 M)) - d   for d < 2M, else M
// Sources: Young 1974; Daly 2006 (both the efficiency and the higher-order interval).
#pragma once

#include "plan/evaluate.hpp"

namespace moeline {

struct Goodput {
  Seconds between_failures;     // of the run
  Bytes checkpoint;             // weights and optimiser states, of one device
  Seconds checkpoint_time;      // training stands still
  Seconds interval;             // of useful work between two checkpoints
  bool interval_given = false;
  double effective = 0;         // useful time over time
  double tokens_per_second = 0; // effective
  std::optional<Seconds> run;   // for the tokens asked
  double device_hours = 0;      // of it
};

Seconds best_interval(Seconds checkpoint, Seconds between_failures);
double effective_share(Seconds interval, Seconds checkpoint, Seconds restart, Seconds between_failures);

// `scenario` trains, with a run.
Goodput goodput(const Scenario& scenario, const TrainEvaluation& answer);

}  // namespace moeline
