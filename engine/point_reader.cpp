#include "engine/point_reader.hpp"

#include <fmt/format.h>
#include <tbb/enumerable_thread_specific.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "fit/calibration_file.hpp"
#include "plan/training/train.hpp"

namespace moeline {
namespace {

constexpr std::size_t kRemembered = 64;  // questions a thread keeps; a random sweep of a bandwidth never hits
constexpr const char* kVersion = "sweep rows 2";

// Told apart by every digit: what is the same reads the same, down to the error.
bool is_same(const Json& a, const Json& b) {
  return a.type() == b.type() && (a.is_string() || a.is_boolean() || a.is_number_integer()) && a == b;
}

// One model on one machine: the points about it differ in the rest of the scenario.
struct Asked {
  Scenario scenario;
  const Calibration* calibration = nullptr;
  std::optional<TrainingSteps> steps;  // of GPUs
  ProductMemo products;                // of their layers
};

bool below(const std::string& pointer, const std::string& field) {
  return pointer == "/" + field || pointer.starts_with("/" + field + "/");
}

std::string calibration_name(const Json& scenario, const std::string& origin) {
  const auto named = scenario.find("calibration");
  if (named == scenario.end() || named->is_null()) return "auto";
  if (!named->is_string()) throw SpecError(origin + "#/calibration", "expected \"auto\", \"none\" or a path");
  return named->get<std::string>();
}

bool serves(const Json& scenario) { return scenario.at("workload").value("kind", Json()) == "serve"; }

// Calibrations are chosen by the name of the machine and its architecture, and by nothing else of it.
std::string calibration_key(const std::string& named, const Cluster& cluster) {
  const Gpu* gpu = std::get_if<Gpu>(&cluster.device);
  return fmt::format("{}\n{}\n{}", named, cluster.name, gpu != nullptr ? gpu->architecture : "");
}

std::string key_of(const std::vector<std::size_t>& axes, const std::vector<Json>& values) {
  std::string key;
  for (const std::size_t axis : axes) key += values[axis].dump() + "\n";
  return key;
}

// FNV-1a, 64 bits: tells sweeps apart, guards against nobody.
std::uint64_t hash(const std::string& text) {
  std::uint64_t h = 0xcbf29ce484222325;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return h;
}

std::string kind_of(const Sweep& sweep, const std::string& origin) {
  for (const Axis& axis : sweep.axes) {
    if (axis.pointer() == "/workload/kind" || axis.pointer() == "/workload") {
      throw SpecError(origin + "#/vary" + axis.pointer(), "the kind of workload decides the columns; vary its fields");
    }
  }
  const Json& workload = sweep.scenario.at("workload");
  if (!workload.is_object()) throw SpecError(origin + "#/scenario/workload", "expected an object {...}");
  const Json kind = workload.value("kind", Json("train"));
  return kind == "layer" || kind == "serve" ? kind.get<std::string>() : "train";
}

}  // namespace

// The scenario of a thread's last point, less model and machine, and what was read of it.
struct PointReader::Rest {
  Json json;
  std::vector<Json> values;
  ReadFields known;
};

struct PointReader::Memo {
  std::map<std::string, Calibration> calibrations;
  std::map<std::string, std::unique_ptr<Asked>> asked;
  Rest rest;

  Asked& asked_of(const std::string& key, const std::function<Json()>& whole, const std::string& origin,
                  const std::string& calibration);
};

struct PointReader::Memos {
  tbb::enumerable_thread_specific<Memo> of_thread;
};

PointReader::PointReader(const Sweep& sweep, std::string origin)
    : sweep_(sweep), origin_(std::move(origin)), memos_(std::make_unique<Memos>()) {
  Json& workload = sweep_.scenario["workload"];
  if (workload.is_null()) workload = Json::object();
  if (workload.is_object() && !workload.contains("kind")) workload["kind"] = "train";
  std::vector<std::string> pointers;
  for (std::size_t a = 0; a < sweep_.axes.size(); ++a) {
    const std::string& pointer = sweep_.axes[a].pointer();
    pointers.push_back(pointer);
    const bool model = below(pointer, "model"), machine = below(pointer, "hardware") || below(pointer, "cluster");
    if (model || machine) {
      (model ? model_axes_ : machine_axes_).push_back(a);
      continue;
    }
    const std::string field = pointer.substr(1, pointer.find('/', 1) - 1);
    const auto found = std::find(rest_fields_.begin(), rest_fields_.end(), field);
    rest_axes_.push_back({a, static_cast<std::size_t>(found - rest_fields_.begin())});
    if (found == rest_fields_.end()) rest_fields_.push_back(field);
  }
  rest_ = sweep_.scenario;
  rest_.erase("model");
  rest_.erase("hardware");
  const std::string kind = kind_of(sweep_, origin_);
  columns_ = columns_of(kind, std::move(pointers));
  columns_.recompute_chosen = kind == "train" && sweep_.scenario.at("workload").value("recompute", Json("auto")) == "auto";
  check();
}

PointReader::~PointReader() = default;

void PointReader::check() const {
  const std::string where = origin_ + " scenario";
  const auto varied = [&](const char* field) {
    for (const Axis& axis : sweep_.axes) {
      if (axis.pointer() == std::string("/") + field) return true;
    }
    return false;
  };
  // What a varied field replaces as a whole need not be there.
  const bool model = sweep_.scenario.contains("model") || !varied("model");
  const bool hardware = sweep_.scenario.contains("hardware") || !varied("hardware");
  if (model && hardware) {
    const Scenario scenario = read_scenario(sweep_.scenario, where);
    calibration_named(scenario.calibration, scenario.cluster, serves(sweep_.scenario));
  }
  try {
    answer(sweep_.values(0));
  } catch (const UnknownKey&) {
    throw;
  } catch (const SpecError&) {
    // This point is bad; others may not be.
  }
}

// Forgets all when full, which costs time alone.
Asked& PointReader::Memo::asked_of(const std::string& key, const std::function<Json()>& whole, const std::string& origin,
                                   const std::string& named) {
  const auto found = asked.find(key);
  if (found != asked.end()) return *found->second;
  const Json json = whole();
  if (asked.size() >= kRemembered) asked.clear();
  if (calibrations.size() >= kRemembered && asked.empty()) calibrations.clear();
  auto made = std::make_unique<Asked>();
  made->scenario.lists_assumptions = false;  // no row has a place for them
  made->scenario.cluster = read_cluster_of(json, origin);
  made->scenario.model = read_model_of(json, origin);
  const Cluster& cluster = made->scenario.cluster;
  const auto [fits, fresh] = calibrations.try_emplace(calibration_key(named, cluster));
  if (fresh) fits->second = calibration_named(named, cluster, serves(json));
  made->calibration = &fits->second;
  if (std::holds_alternative<Gpu>(cluster.device)) made->steps.emplace(cluster, made->scenario.model, fits->second);
  return *asked.emplace(key, std::move(made)).first->second;
}

// A field of which a value is another than at the point before is set and will be read anew: all its values, in their
// order, since one may replace what the next lies in. Objects are merged into what is there, so that theirs starts afresh.
void PointReader::set_rest(Rest& rest, const std::vector<Json>& values) const {
  const std::vector<Json> before = std::exchange(rest.values, {});  // none, should setting fail
  if (before.empty()) rest = {.json = rest_, .values = {}, .known = {}};
  std::vector<bool> changed(rest_fields_.size(), before.empty());
  for (const auto& [axis, field] : rest_axes_) {
    if (before.empty() || is_same(before[axis], values[axis])) continue;
    const std::string& name = rest_fields_[field];
    if (before[axis].is_structured() || values[axis].is_structured()) {
      const auto given = rest_.find(name);
      if (given == rest_.end()) {
        rest.json.erase(name);
      } else {
        rest.json[name] = *given;
      }
    }
    if (!changed[field]) rest.known.forget(name);
    changed[field] = true;
  }
  for (const auto& [axis, field] : rest_axes_) {
    if (changed[field]) set_value(rest.json, sweep_.axes[axis], values[axis], origin_);
  }
  rest.values = values;
}

Point PointReader::answer(const std::vector<Json>& values) const {
  Memo& memo = memos_->of_thread.local();
  set_rest(memo.rest, values);
  const std::string calibration = calibration_name(memo.rest.json, origin_);
  const std::string key = key_of(machine_axes_, values) + key_of(model_axes_, values) + calibration;
  const auto whole = [&] { return scenario_with(sweep_, values, origin_); };
  Asked& asked = memo.asked_of(key, whole, origin_, calibration);
  read_rest(asked.scenario, memo.rest.json, origin_, memo.rest.known);
  const bool step = asked.steps && std::holds_alternative<TrainWorkload>(asked.scenario.workload);
  return step ? point_of(evaluate_step(asked.scenario, *asked.steps), columns_)
              : point_of(evaluate(asked.scenario, *asked.calibration, {}, &asked.products), columns_);
}

Point PointReader::point(std::uint64_t number) const {
  std::vector<Json> values = sweep_.values(number);
  Point point;
  try {
    point = answer(values);
  } catch (const SpecError& error) {
    point = bad_point(error.what(), columns_);
  }
  point.varied = std::move(values);
  return point;
}

std::string PointReader::fingerprint(const std::string& how_written) const {
  Json all{{"version", kVersion}, {"how", how_written}, {"scenario", sweep_.scenario}};
  all["order"] = {static_cast<int>(sweep_.order), sweep_.samples, sweep_.seed};
  for (const Axis& axis : sweep_.axes) {
    Json& values = all["axes"][axis.pointer()];
    // A range is told apart by its count and a few of its values; a list by all of them, which the file held anyway.
    values.push_back(axis.count());
    for (std::uint64_t i = 0; i < std::min<std::uint64_t>(axis.count(), 100000); ++i) values.push_back(axis.value(i));
    for (const double share : {0.0, 0.37, 0.61, 0.99}) values.push_back(axis.sample(share));
  }
  const auto contents = [&](const char* field, auto&& find) {
    const auto named = sweep_.scenario.find(field);
    if (named != sweep_.scenario.end()) all["contents"][field] = find(*named);
  };
  contents("model", [&](const Json& named) { return find_model(named, origin_).json; });
  contents("hardware", [&](const Json& named) { return find_hardware(named, origin_).json; });
  contents("calibration", [&](const Json& named) {
    const std::string path = named.is_string() ? named.get<std::string>() : "auto";
    return path == "auto" || path == "none" ? path : read_file(path);
  });
  return fmt::format("{:016x}", hash(all.dump()));
}

}  // namespace moeline
