// Wrong: no such folder in the order.
#pragma once
