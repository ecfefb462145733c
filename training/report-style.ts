/** The style of a report: the colours of the dashboard, light and dark by what the reader's system asks for. */
export const REPORT_STYLE = `
:root{color-scheme:light dark;--ground:#f7f8f8;--surface:#fff;--line:#dfe4e6;--line-strong:#7d8a90;--ink:#172126;--ink-2:#4d5b62;--accent:#0f6b7c;--actual:#b4470f;--third:#6a4fa3;--good:#1c7148;--bad:#b3261e;--good-soft:#e0f1e8;--bad-soft:#fbe4e2;--warn-soft:#fbeed7;font:400 16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','Liberation Sans',sans-serif}
@media (prefers-color-scheme:dark){:root{--ground:#0f1518;--surface:#172025;--line:#2a363c;--line-strong:#73828a;--ink:#e8eef0;--ink-2:#a3b1b7;--accent:#5fc3d3;--actual:#f0a070;--third:#b8a1ea;--good:#6fcf9b;--bad:#f28b82;--good-soft:#163026;--bad-soft:#3a1f1d;--warn-soft:#362a14}}
*,*::before,*::after{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--ground);color:var(--ink);font-variant-numeric:tabular-nums}
h1,h2,h3,p,ul,dl,dd,figure{margin:0;padding:0}
main{max-width:1120px;margin:0 auto;padding:2.25rem 1.25rem 4rem;display:grid;gap:1.25rem}
header{display:grid;gap:.5rem;margin-bottom:.5rem}
.kicker{color:var(--ink-2);font-size:.9375rem}
h1{font-size:clamp(1.5rem,1.1rem + 1.7vw,2.15rem);line-height:1.2;letter-spacing:-.02em;font-weight:660;max-width:46rem;text-wrap:balance}
h2{font-size:1.125rem;letter-spacing:-.01em;font-weight:650}
.muted{color:var(--ink-2);font-size:.9375rem;max-width:46rem}
.tiles{display:grid;grid-template-columns:repeat(4,1fr);gap:1rem}
.tile,.panel{background:var(--surface);border:1px solid var(--line);border-radius:12px;min-width:0}
.tile{padding:1rem 1.15rem;display:grid;gap:.1rem;align-content:start}
.tile .name{color:var(--ink-2);font-size:.875rem}
.tile .figure{font-size:1.9rem;line-height:1.25;letter-spacing:-.025em;font-weight:660}
.tile .unit{font-size:1rem;font-weight:500;color:var(--ink-2);letter-spacing:0}
.tile .chance{color:var(--ink-2);font-size:.8125rem}
.panels{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:1.25rem}
.panels.three{grid-template-columns:repeat(3,minmax(0,1fr))}
.panels.three .area{height:13rem}
.panels.calibration{grid-template-columns:minmax(0,24rem) minmax(0,1fr);align-items:center;gap:1.25rem 3rem}
.panel{padding:1.25rem 1.4rem;display:grid;gap:.75rem;align-content:start}
.remarks{background:var(--warn-soft);border-color:transparent}
.remarks ul{padding-left:1.2rem;display:grid;gap:.3rem}
.plot{display:grid;gap:.25rem;margin-top:.25rem}
.area{position:relative;height:16rem;margin:.55rem .25rem 1.7rem 2.9rem}
.plot.short .area{height:9rem}
.plot.square{max-width:24rem}
.plot.square .area{height:auto;aspect-ratio:1}
.area svg{position:absolute;inset:0;width:100%;height:100%;overflow:visible}
.area span,.axis .x{position:absolute;font-size:.75rem;line-height:1;color:var(--ink-2);white-space:nowrap}
.area .y{right:calc(100% + .5rem);transform:translateY(-50%)}
.area .x{top:calc(100% + .5rem);transform:translateX(-50%)}
.area .x.first{transform:none}
.area .x.last{transform:translateX(-100%)}
.y-title,.x-title{font-size:.8125rem;color:var(--ink-2)}
.x-title{text-align:center}
path{fill:none;vector-effect:non-scaling-stroke;stroke-width:1.5;stroke-linejoin:round}
path.grid{stroke:var(--line);stroke-width:1}
path.ideal{stroke:var(--line-strong);stroke-dasharray:4 4}
path.dots{stroke-linecap:round;stroke-width:3}
path.key{stroke-width:8;stroke-opacity:.75!important}
path.inside{stroke:var(--accent);stroke-opacity:.28}
path.outside{stroke:var(--actual);stroke-opacity:.6}
path.big{stroke:var(--accent);stroke-width:10}
path.big.off{stroke:var(--actual)}
path.band{fill:var(--accent);fill-opacity:.16;stroke:none}
path.chance{fill:var(--line-strong);fill-opacity:.2;stroke:none}
path.c0{stroke:var(--accent);stroke-width:2.5}
path.c1{stroke:var(--actual);stroke-width:1.75;stroke-dasharray:7 3}
path.c2{stroke:var(--third);stroke-width:1.75;stroke-dasharray:2 3}
path.c3{stroke:var(--line-strong);stroke-width:1.5}
.legend{display:flex;flex-wrap:wrap;gap:.35rem 1.25rem;list-style:none;padding:0;margin:0;font-size:.875rem;color:var(--ink-2)}
.legend li{display:flex;align-items:center;gap:.45rem}
.legend svg{width:1.9rem;height:.8rem;flex:none}
.rowplot{display:grid;gap:0}
.row{display:grid;grid-template-columns:minmax(9rem,17rem) minmax(6rem,1fr) 11.5rem;gap:.2rem 1rem;align-items:center;min-height:2.1rem}
.row .label{font-size:.9375rem;overflow-wrap:anywhere;line-height:1.3}
.row small{color:var(--ink-2);font-size:.8125rem;white-space:nowrap}
.links .row{grid-template-columns:minmax(9rem,21rem) minmax(6rem,1fr) 11.5rem}
.row .value{font-size:.875rem;color:var(--ink-2);white-space:nowrap}
.row.whole .label,.row.whole .value{font-weight:650;color:var(--ink)}
.track{position:relative;align-self:stretch;min-height:2.1rem}
.track i{position:absolute;display:block}
.tick{top:0;bottom:0;width:1px;background:var(--line)}
.whisker{top:calc(50% - 3px);height:6px;min-width:3px;border-radius:3px;background:var(--line-strong);opacity:.45}
.dot{top:calc(50% - 5px);width:10px;height:10px;margin-left:-5px;border-radius:50%;background:var(--line-strong)}
.row.whole .dot,.row.link .dot{background:var(--accent)}
.row.whole .whisker,.row.link .whisker{background:var(--accent)}
.row.axis{min-height:1.2rem}
.row.axis .track{min-height:1.2rem}
.axis .x{top:.25rem;transform:translateX(-50%)}
.scroll{overflow-x:auto}
.scroll:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
table{width:100%;border-collapse:collapse;font-size:.875rem}
caption{text-align:left;color:var(--ink-2);padding-bottom:.4rem}
th,td{padding:.42rem .7rem;text-align:left;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{padding-left:0}
tbody th{font-weight:450}
thead th{color:var(--ink-2);font-weight:550;font-size:.8125rem}
tbody tr:last-child>*{border-bottom:0}
.number{text-align:right}
td small{color:var(--ink-2)}
.tag{display:inline-block;padding:.02rem .5rem;border-radius:99px;font-size:.8125rem;background:var(--good-soft);color:var(--good)}
.tag.off{background:var(--bad-soft);color:var(--bad)}
.data{display:flex;flex-wrap:wrap;gap:.6rem 2rem;font-size:.9375rem}
.data dt{color:var(--ink-2);font-size:.8125rem}
code{font-family:ui-monospace,'Liberation Mono',monospace;font-size:.875em}
@media (max-width:760px){
main{padding:1.35rem .9rem 3rem}
.tiles{grid-template-columns:1fr 1fr;gap:.75rem}
.tile{padding:.8rem .9rem}
.tile .figure{font-size:1.55rem}
.panels,.panels.three,.panels.calibration{grid-template-columns:minmax(0,1fr)}
.links .row{grid-template-columns:1fr auto}
.panel{padding:1rem}
.row{grid-template-columns:1fr auto;padding:.3rem 0}
.row .track{grid-column:1/-1;grid-row:2;min-height:1.3rem}
.row.axis .label,.row.axis .value{display:none}
.row .track{margin:0 .6rem}
}
@media print{body{background:#fff}.panel,.tile{break-inside:avoid}}
`;
