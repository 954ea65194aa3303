// Collectives published by others than the calibration's source, as families that are only checked.
//
//   vidur      `system,collective,num_gpus,gpus_per_node,nodes,size_bytes,latency_us_median,...`
//              H100 with NVSwitch, all-reduce of 2, 4, 8 ranks. Whole microseconds; below 4 MB they show the host
//              launch (7 to 44 us without a trend), so those rows are left out.
//   CoreWeave  `system,gpus,nodes,nvlink_domains,collective,size_bytes,oop_time_us,...`
//              72 GPUs of one NVL72 rack are one NVLink domain; several racks, and nodes over InfiniBand, are not
//              priced here.
//   stas       `system,collective,size_bytes,busbw_gbps,...`: neither device nor ranks stated.
// Sources: microsoft/vidur@7d47513 (MIT), coreweave/nccl-tests@cb86553, stas00/ml-engineering@744d01e (CC-BY-SA-4.0).
// Operation "collective", library "nccl", as nccl_data; one kind of call says nothing about the others: check only.
#pragma once

#include "fit/csv.hpp"
#include "fit/family.hpp"

namespace moeline {

bool is_published_collectives_csv(const Csv& csv);
std::vector<FamilyData> published_collective_families(const Csv& csv);

}  // namespace moeline
