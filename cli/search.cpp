// `moeline search`: every legal layout of a model on a cluster, or every round of a deployment's draft; the best of them shown,
// the others counted by reason.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <ranges>

#include "cli/asking.hpp"
#include "cli/reporting.hpp"
#include "cli/scenario_flags.hpp"
#include "cli/subcommand.hpp"
#include "engine/search_run.hpp"
#include "engine/sweep_run.hpp"
#include "fit/calibration_file.hpp"
#include "reports/records.hpp"
#include "reports/speculation_table.hpp"

namespace moeline {
namespace {

const std::vector<std::string> kObjectives{"time", "memory", "cost", "energy", "devices"};  // as in Objective

struct SearchFlags {
  ScenarioFlags scenario;
  std::string objective = "time", pareto, max_memory;
  std::vector<std::string> fix, try_recipes, try_schedules;
  std::vector<std::int64_t> try_devices;
  int top = 10, threads = 0;
};

Json record_of(const FoundLayout& found) {
  const Parallelism& p = found.layout.parallelism;
  Json record{{"devices", found.devices},
              {"recipe", found.recipe},
              {"tp", p.tp},
              {"pp", p.pp},
              {"vpp", p.vpp},
              {"ep", p.ep},
              {"etp", p.etp},
              {"cp", p.cp},
              {"dp", p.dp},
              {"zero", p.zero},
              {"schedule", name(p.schedule)},
              {"micro_batch", found.layout.micro_batch},
              {"recompute", found.layout.recompute->name},
              {"step_time_seconds", found.step.value.in(second)},
              {"step_time_p10_seconds", found.step.p10.in(second)},
              {"step_time_p90_seconds", found.step.p90.in(second)},
              {"tokens_per_second_per_device", found.tokens_per_second_per_device},
              {"mfu", found.mfu},
              {"memory_required_bytes", found.required.in(byte)},
              {"memory_available_bytes", found.available.in(byte)}};
  if (found.bill.money) {
    record["currency"] = found.bill.currency;
    record["cost_per_million_tokens"] = *found.bill.money_per_million_tokens();
  }
  if (found.bill.energy) record["kilowatt_hours_per_million_tokens"] = *found.bill.kilowatt_hours_per_million_tokens();
  return record;
}

std::string screen(const SearchResult& result, const SearchSettings& settings) {
  std::string text = fmt::format(
      "{:>7} {:<16} {:>3} {:>3} {:>3} {:<16} {:>4} {:>3} {:>3} {:>5} {:>4} {:>5} {:<9} {:>9} {:>21} {:>9} {:>6} {:>9}",
      "devices", "recipe", "tp", "pp", "vpp", "schedule", "ep", "etp", "cp", "dp", "zero", "micro", "recompute", "step",
      "p10 .. p90", "tok/s/GPU", "MFU", "memory");
  const bool cost = asks_for(settings, Objective::cost), energy = asks_for(settings, Objective::energy);
  if (cost && !result.best.empty()) text += fmt::format(" {:>12}", result.best[0].bill.currency + "/Mtok");
  if (energy) text += fmt::format(" {:>12}", "kWh/Mtok");
  text += "\n";
  for (const FoundLayout& f : result.best) {
    const Parallelism& p = f.layout.parallelism;
    text += fmt::format(
        "{:>7} {:<16} {:>3} {:>3} {:>3} {:<16} {:>4} {:>3} {:>3} {:>5} {:>4} {:>5} {:<9} {:>9} {:>21} {:>9.0f} {:>4.1f} % {:>9}",
        f.devices, f.recipe, p.tp, p.pp, p.vpp, name(p.schedule), p.ep, p.etp, p.cp, p.dp, p.zero, f.layout.micro_batch,
        f.layout.recompute->name, format(f.step.value), format(f.step.p10) + " .. " + format(f.step.p90), f.tokens_per_second_per_device,
        100 * f.mfu, format(f.required));
    if (cost) text += fmt::format(" {:>12.4g}", *f.bill.money_per_million_tokens());
    if (energy) text += fmt::format(" {:>12.4g}", *f.bill.kilowatt_hours_per_million_tokens());
    text += "\n";
  }
  text += fmt::format("\n{} legal layouts, {} feasible; the others:\n", result.legal, result.feasible);
  for (const auto& [reason, count] : result.lost) text += fmt::format("{:>9}  {}\n", count, reason);
  return text;
}

int none_runs(const SearchResult& result, const std::string& origin) {
  fmt::print(stderr, "moeline: {}: infeasible: none of {} legal layouts runs; use more devices, or fix less\n", origin,
             result.legal);
  return kInfeasible;
}

bool is_all(const std::vector<std::string>& names) { return names == std::vector<std::string>{"all"}; }

Objective objective_named(const std::string& name, const std::string& where) {
  const auto found = std::find(kObjectives.begin(), kObjectives.end(), name);
  if (found == kObjectives.end()) {
    throw SpecError(where, fmt::format("unknown value \"{}\"{}", name, did_you_mean(name, kObjectives)));
  }
  return static_cast<Objective>(found - kObjectives.begin());
}

SearchSettings settings_of(const SearchFlags& flags) {
  SearchSettings settings;
  settings.top = static_cast<std::size_t>(flags.top);
  settings.objective = objective_named(flags.objective, "--objective");
  if (!flags.pareto.empty()) {
    const std::size_t comma = flags.pareto.find(',');
    if (comma == std::string::npos) throw SpecError("--pareto", "expected two of " + fmt::format("{}", fmt::join(kObjectives, ", ")));
    settings.front = {objective_named(flags.pareto.substr(0, comma), "--pareto"),
                      objective_named(flags.pareto.substr(comma + 1), "--pareto")};
  }
  settings.fixed = read_fixed(flags.fix, "--fix");
  if (!flags.try_schedules.empty()) settings.schedules.clear();
  if (is_all(flags.try_schedules)) {
    settings.schedules = all_schedules();
  } else {
    for (const std::string& name : flags.try_schedules) settings.schedules.push_back(schedule_named(name));
  }
  settings.threads = flags.threads > 0 ? flags.threads : threads_of_this_machine();
  settings.progress = !flags.scenario.quiet;
  if (!flags.max_memory.empty()) {
    settings.max_memory = parse<Dimension{.byte = 1}>(flags.max_memory);
    if (!settings.max_memory) {
      throw SpecError("--max-memory",
                      fmt::format("\"{}\": expected a size with its unit, such as \"160 GB\"", flags.max_memory));
    }
  }
  return settings;
}

// Those that the device runs as they are.
std::vector<std::string> recipes_of(const Device& device) {
  std::vector<std::string> names;
  for (const std::string& name : recipe_names()) {
    Recipe recipe = read_recipe(name, name);
    std::vector<std::string> changes;
    if (!legalise(recipe, device, changes) && changes.empty()) names.push_back(name);
  }
  return names;
}

// What is searched one after the other, as changes of the scenario: every number of devices with every recipe.
std::vector<Json> spaces(const SearchFlags& flags, const Scenario& scenario) {
  const std::vector<std::string> recipes =
      is_all(flags.try_recipes) ? recipes_of(scenario.cluster.device) : flags.try_recipes;
  const std::vector<std::int64_t> devices =
      flags.try_devices.empty() ? std::vector{scenario.cluster.devices} : flags.try_devices;
  std::vector<Json> changes;
  for (const std::int64_t count : devices) {
    if (recipes.empty()) changes.push_back({{"devices", count}});
    for (const std::string& recipe : recipes) changes.push_back({{"devices", count}, {"recipe", recipe}});
  }
  return changes;
}

// All share the batch; left out, it is that of the scenario's own layout.
std::variant<SearchResult, Infeasible> searched(const SearchFlags& flags, const SearchSettings& settings) {
  const std::string origin = flags.scenario.origin();
  Json json = flags.scenario.scenario("train");
  const Scenario scenario = read_scenario(json, origin);
  const Calibration calibration = calibration_named(scenario.calibration, scenario.cluster);
  json["workload"]["global_batch"] = std::get<TrainWorkload>(scenario.workload).global_batch;
  SearchResult all;
  for (const Json& change : spaces(flags, scenario)) {
    for (const auto& [field, value] : change.items()) json[field] = value;
    auto more = search(read_scenario(json, origin), calibration, settings, origin);
    if (std::holds_alternative<Infeasible>(more)) return more;
    all = merged(std::move(all), std::get<SearchResult>(std::move(more)), settings);
  }
  return all;
}

Json layouts_of(const SearchResult& result) {
  Json layouts = Json::array();
  for (const FoundLayout& found : result.best) layouts.push_back(record_of(found));
  return layouts;
}

Json search_json(const SearchResult& result) {
  return Json{{"kind", "search"},
              {"feasible", !result.best.empty()},
              {"layouts", layouts_of(result)},
              {"legal", result.legal},
              {"feasible_layouts", result.feasible},
              {"lost", result.lost}};
}

// What chooses among layouts has nothing to choose among rounds.
void refuse_flags_of_layouts(const SearchFlags& flags) {
  const auto refuse = [](bool given, const char* flag) {
    if (given) throw SpecError(flag, "chooses among layouts; of a deployment's draft, draft_tokens, slots and backup are tried, the quickest first");
  };
  refuse(flags.objective != "time", "--objective");
  refuse(!flags.pareto.empty(), "--pareto");
  refuse(!flags.max_memory.empty(), "--max-memory");
  refuse(!flags.try_devices.empty(), "--try-devices");
  refuse(!flags.try_recipes.empty(), "--try-recipes");
  refuse(!flags.try_schedules.empty(), "--try-schedules");
}

// "draft_tokens=4": written into the scenario, and left there.
FixedOfRounds fix_rounds(const std::vector<std::string>& fix, Json& json, const std::string& origin) {
  static const std::map<std::string, bool FixedOfRounds::*> kKeys{
      {"draft_tokens", &FixedOfRounds::draft_tokens}, {"cache_slots", &FixedOfRounds::cache_slots}, {"backup", &FixedOfRounds::backup}};
  FixedOfRounds fixed;
  for (const std::string& text : fix) {
    const std::string where = "--fix " + text, key = text.substr(0, text.find('='));
    if (!kKeys.contains(key)) throw SpecError(where, fmt::format("of a deployment's draft: {}=VALUE", fmt::join(kKeys | std::views::keys, "=VALUE, ")));
    set_field(json, "/speculation/" + text, origin);
    fixed.*kKeys.at(key) = true;
  }
  return fixed;
}

int answer_with_rounds(const SearchFlags& flags) {
  refuse_flags_of_layouts(flags);
  const std::string origin = flags.scenario.origin();
  Json json = flags.scenario.scenario("serve");
  const FixedOfRounds fixed = fix_rounds(flags.fix, json, origin);
  const Scenario scenario = read_scenario(json, origin);
  const auto outcome = search_speculation(scenario, calibration_named(scenario.calibration, scenario.cluster, true), fixed);
  if (const Infeasible* why = std::get_if<Infeasible>(&outcome)) return say_infeasible(*why, flags.scenario.output(), origin);
  const SpeculationSearch& found = std::get<SpeculationSearch>(outcome);
  const auto top = static_cast<std::size_t>(flags.top);
  write_report(flags.scenario.report, [&] { return speculation_json(found, top); });
  switch (flags.scenario.output()) {
    case Format::csv: fmt::print("{}", records_csv(rounds_json(found, top))); break;
    case Format::markdown: fmt::print("{}", records_markdown(rounds_json(found, top))); break;
    case Format::table: print_folded(rounds_text(found, scenario, top)); break;
    case Format::json: fmt::print("{}\n", speculation_json(found, top).dump(2));
  }
  return kAnswered;
}

int answer(const SearchFlags& flags) {
  if (flags.scenario.kind() == "serve") return answer_with_rounds(flags);
  const std::string origin = flags.scenario.origin();
  const SearchSettings settings = settings_of(flags);
  const auto outcome = searched(flags, settings);
  if (const Infeasible* why = std::get_if<Infeasible>(&outcome)) return say_infeasible(*why, flags.scenario.output(), origin);
  const SearchResult& result = std::get<SearchResult>(outcome);
  write_report(flags.scenario.report, [&] { return search_json(result); });
  const Format format = flags.scenario.output();
  if (result.best.empty() && (format == Format::csv || format == Format::markdown)) return none_runs(result, origin);
  switch (format) {
    case Format::csv:
      fmt::print("{}", records_csv(layouts_of(result)));
      break;
    case Format::markdown:
      fmt::print("{}", records_markdown(layouts_of(result)));
      break;
    case Format::table:
      print_folded(screen(result, settings));
      break;
    case Format::json:
      fmt::print("{}\n", search_json(result).dump(2));
  }
  return result.best.empty() ? none_runs(result, origin) : kAnswered;
}

}  // namespace

void add_search(CLI::App& app, Action& action) {
  const auto [command, flags] =
      subcommand(app, action, answer, "search", "the best layouts of a model on a cluster, and why the others lost",
                 "Example: moeline search --model qwen3-30b-a3b --hardware h200-sxm --devices 16 --fix zero=1 --top 5\n"
                 "Of a deployment with a draft (a scenario that serves): draft length, slots and backup instead.");
  flags->scenario.add_to(*command);
  flags->scenario.add_serving_to(*command);
  command->add_option("--global-batch", flags->scenario.global_batch, "sequences per optimiser step");
  command->add_option("--top", flags->top, "how many to show: --top 5")->check(CLI::Range(1, 100000));
  take_one_of(command->add_option("--objective", flags->objective, "what is to be small: --objective memory"),
              kObjectives);
  command->add_option("--pareto", flags->pareto,
                      "instead, all layouts that no other beats in two of time, memory, cost, energy, devices: --pareto time,memory");
  command
      ->add_option("--try-devices", flags->try_devices,
                   "search these numbers of devices, the same batch on each: --try-devices 64,128,256")
      ->delimiter(',')
      ->check(CLI::Range(1, 1 << 24));
  command
      ->add_option("--try-recipes", flags->try_recipes,
                   "search these recipes, or all that the device runs as they are: --try-recipes bf16,mxfp8")
      ->delimiter(',');
  command
      ->add_option("--try-schedules", flags->try_schedules,
                   "1f1b and interleaved_1f1b if left out, or all that there are: --try-schedules 1f1b,zb_h1,dualpipe")
      ->delimiter(',');
  command
      ->add_option(
          "--fix", flags->fix,
          "only layouts with this value of tp, pp, vpp, ep, etp, cp, dp, zero, schedule, micro_batch or recompute: "
          "--fix pp=4; of a draft only rounds with this of draft_tokens, cache_slots or backup; repeatable")
      ->take_all()
      ->allow_extra_args(false);
  command->add_option("--max-memory", flags->max_memory, "per device, if less than it has: --max-memory '120 GB'");
  command->add_option("--threads", flags->threads, "how many; all cores if left out: --threads 2")
      ->check(CLI::Range(1, 4096));
}

}  // namespace moeline
