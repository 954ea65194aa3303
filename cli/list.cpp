// `moeline list`: what is known by name.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.hpp"
#include "cli/scenario_flags.hpp"
#include "fit/calibration_file.hpp"
#include "fit/pages.hpp"
#include "reports/anchors.hpp"
#include "reports/calibration_page.hpp"
#include "reports/records.hpp"
#include "spec/catalogue.hpp"
#include "spec/cluster.hpp"
#include "spec/llm.hpp"
#include "spec/recipe.hpp"
#include "units_text.hpp"

namespace moeline {
namespace {

Json models() {
  Json list = Json::array();
  for (const CatalogueEntry& entry : model_catalogue()) {
    const std::string file = std::string(entry.name) + ".json";
    const ModelSpec model = read_model(parse_json(entry.text, file), file, std::string(entry.name));
    const ModelParameters count = parameters(model);
    list.push_back(
        Json{{"name", entry.name}, {"family", model.family}, {"parameters", count.main}, {"active", count.active}});
  }
  return list;
}

Json machines() {
  Json list = Json::array();
  for (const CatalogueEntry& entry : hardware_catalogue()) {
    const std::string file = std::string(entry.name) + ".json";
    const Cluster cluster = read_cluster(parse_json(entry.text, file), file);
    list.push_back(Json{
        {"name", entry.name}, {"title", cluster.title}, {"memory_bytes", memory_capacity(cluster.device).in(byte)}});
  }
  return list;
}

Json recipes() {
  Json list = Json::array();
  for (const std::string& name : recipe_names()) {
    const Recipe recipe = read_recipe(name, "recipe");
    list.push_back(Json{{"name", name},
                        {"linear", moeline::name(recipe.linear)},
                        {"expert", moeline::name(recipe.expert)},
                        {"kernels", moeline::name(recipe.kernels)},
                        {"scales", moeline::name(recipe.scales)},
                        {"weights_made", moeline::name(recipe.weights_made)}});
  }
  return list;
}

std::vector<FamilyFit> calibrations() {
  std::vector<FamilyFit> all;
  for (const CatalogueEntry& entry : calibration_catalogue()) {
    const std::string name(entry.name);
    for (FamilyFit& page : read_pages(parse_json(entry.text, name), name)) all.push_back(std::move(page));
  }
  return all;
}

Json calibrations_json() {
  Json list = Json::array();
  for (const FamilyFit& page : calibrations()) {
    const ErrorSummary& e = page.held_out;
    list.push_back(Json{{"device", page.key.device},
                        {"operation", page.key.operation},
                        {"library", page.key.library},
                        {"dtype", page.key.dtype},
                        {"rows", e.n},
                        {"fitted_mean", page.fitted.mean},
                        {"held_out_mean", e.mean},
                        {"held_out_median", e.median},
                        {"held_out_p90", e.p90},
                        {"bias", e.bias}});
  }
  return list;
}

std::string as_table(const std::string& what, const Json& list) {
  std::string out = what + "\n";
  for (const Json& entry : list) {
    const std::string name = entry["name"].get<std::string>();
    if (what == "models") {
      out += fmt::format("  {:<24}{:<16}{:>22} parameters {:>16} active\n", name, entry["family"].get<std::string>(),
                         format_count(entry["parameters"].get<std::int64_t>()),
                         format_count(entry["active"].get<std::int64_t>()));
    } else if (what == "hardware") {
      out += fmt::format("  {:<24}{}\n", name, entry["title"].get<std::string>());
    } else {
      const auto text = [&](const char* key) { return entry[key].get<std::string>(); };
      out += fmt::format("  {:<24}linear {}, experts {}", name, text("linear"), text("expert"));
      if (text("expert") != "bf16") {
        out += fmt::format("; kernels {}, scales {}, weights every {}", text("kernels"), text("scales"),
                           text("weights_made"));
      }
      out += "\n";
    }
  }
  return out;
}

// Several lists in CSV or Markdown follow each other, a blank line between.
void print(const Json& all, Format format) {
  if (format == Format::json) {
    fmt::print("{}\n", all.dump(2));
    return;
  }
  bool first = true;
  for (const auto& item : all.items()) {
    const bool pages = item.key() == "calibrations";
    if (item.key() == "anchors" && format != Format::csv) {
      if (!first) fmt::print("\n");
      first = false;
      fmt::print("{}", format == Format::table ? anchor_table(anchors()) : anchor_markdown(anchors()));
      continue;
    }
    if (format == Format::table) {
      fmt::print("{}", pages ? "calibrations, held-out errors\n" + accuracy_table(calibrations())
                             : as_table(item.key(), item.value()));
      continue;
    }
    if (!first) fmt::print("\n");
    first = false;
    if (format == Format::csv) {
      fmt::print("{}", records_csv(item.value()));
    } else {
      fmt::print("{}", pages ? accuracy_markdown(calibrations()) : records_markdown(item.value()));
    }
  }
}

}  // namespace

void add_list(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("list", "models, hardware, recipes and calibrations known by name; anchors");
  command->footer("Example: moeline list models");
  auto what = std::make_shared<std::string>();
  auto output = std::make_shared<std::string>("table");
  take_one_of(command->add_option("what", *what, "all but anchors if left out"),
              {"models", "hardware", "recipes", "calibrations", "anchors"});
  take_one_of(command->add_option("-o,--output", *output, "how to write the answer; table if left out"),
              {"table", "json", "csv", "md"});
  command->callback([what, output, &action] {
    action = [what, output] {
      Json all = Json::object();
      if (what->empty() || *what == "models") all["models"] = models();
      if (what->empty() || *what == "hardware") all["hardware"] = machines();
      if (what->empty() || *what == "recipes") all["recipes"] = recipes();
      if (what->empty() || *what == "calibrations") all["calibrations"] = calibrations_json();
      if (*what == "anchors") all["anchors"] = anchor_records(anchors());
      print(all, format_named(*output));
      return kAnswered;
    };
  });
}

}  // namespace moeline
