"""How the page looks, and the script that draws its figures: both stand in the page, nothing is fetched."""

CSS = """
:root{color-scheme:light dark;--bg:#fbfcfd;--card:#fff;--ink:#17202a;--soft:#566270;--line:#d9dfe5;--accent:#2463c9;
--good:#12734d;--bad:#b3261e;--open:#8a5a00;--warn:#fff4d6;--warnline:#e0b64a}
@media (prefers-color-scheme:dark){:root{--bg:#0f141a;--card:#161d25;--ink:#e6ebf0;--soft:#9aa7b4;--line:#2c3641;
--accent:#7fb0ff;--good:#5fd3a2;--bad:#ff8a80;--open:#f2bf5b;--warn:#2d2613;--warnline:#8a6d1f}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main,header,footer{max-width:1080px;margin:0 auto;padding:0 1rem}
header{padding-top:2rem}
h1{font-size:1.8rem;line-height:1.2;margin:0 0 .3rem}
h2{font-size:1.3rem;margin:2.6rem 0 .8rem;padding-top:.6rem;border-top:1px solid var(--line)}
h3{font-size:1.05rem;margin:0 0 .2rem}
p{margin:.4rem 0}a{color:var(--accent)}
.lead{color:var(--soft);margin-bottom:1rem}
.warn{background:var(--warn);border:1px solid var(--warnline);border-left-width:6px;border-radius:6px;
padding:.6rem .9rem;margin:.8rem 0}
.card,figure{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:1rem;margin:1rem 0}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(15rem,1fr));gap:.7rem 1.4rem;margin:1rem 0}
dl>div{min-width:0}dt{color:var(--soft);font-size:.8rem}dd{margin:0;overflow-wrap:anywhere}
.badge{display:inline-block;border:1.5px solid;border-radius:99px;padding:0 .6em;font-size:.82rem;font-weight:650;
white-space:nowrap}
.passed{color:var(--good)}.failed{color:var(--bad)}.undecided{color:var(--open)}
.part{display:grid;grid-template-columns:7rem 1fr;gap:.2rem 1rem;padding:.7rem 0;border-top:1px solid var(--line)}
.part p{margin:.1rem 0}.part ul{margin:.3rem 0;padding-left:1.1rem;color:var(--soft);font-size:.9rem}
.scroll{overflow-x:auto;-webkit-overflow-scrolling:touch}
table{border-collapse:collapse;font-size:.88rem;width:100%;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:650;padding:.3rem 0;font-size:1rem;position:sticky;left:0;
max-width:calc(100vw - 4rem)}
th,td{padding:.38rem .6rem;text-align:right;vertical-align:top;border-bottom:1px solid var(--line)}
th:first-child,td:first-child,.words td,.words th{text-align:left}
thead th{color:var(--soft);font-weight:600;vertical-align:bottom}thead small{display:block;font-weight:400}
tbody th{font-weight:600;position:sticky;left:0;background:var(--card);min-width:8.5rem;overflow-wrap:anywhere}
td small{white-space:nowrap}
td small,th small{display:block;color:var(--soft);font-weight:400;font-size:.78rem}
.telling{font-weight:700;color:var(--accent)}
.note,figcaption p{color:var(--soft);font-size:.88rem}
figcaption p{margin:0 0 .5rem}
.plot{width:100%;min-height:160px}
summary{cursor:pointer;font-weight:650;padding:.4rem 0}
footer{padding:2rem 1rem 3rem;color:var(--soft);font-size:.88rem}
@media (max-width:640px){body{font-size:15px}dl{grid-template-columns:repeat(auto-fit,minmax(9rem,1fr))}
.part{grid-template-columns:1fr}h1{font-size:1.45rem}
.card,figure{padding:.7rem}th,td{padding:.3rem .45rem}tbody th{max-width:9.5rem;min-width:7rem}}
@media print{:root{--bg:#fff;--card:#fff;--ink:#000;--soft:#444;--line:#bbb;--accent:#003a9b;--good:#0a5c3b;
--bad:#9a1510;--open:#6b4600;--warn:#fff;--warnline:#777}body{font-size:10pt}main,header,footer{max-width:none}
figure,.part,tr{break-inside:avoid}h2,caption,thead{break-after:avoid}.scroll{overflow:visible}
table{font-size:7pt}
th,td{padding:.2rem .25rem}td small,th small{font-size:6pt}
tbody th{position:static;min-width:4.5rem}td small{white-space:normal}
details::details-content{content-visibility:visible}}
"""

SCRIPT = """
(function(){
  var plots=Array.prototype.slice.call(document.querySelectorAll('.plot'));
  function css(n){return getComputedStyle(document.documentElement).getPropertyValue(n).trim();}
  function colours(){return {ink:css('--ink'),soft:css('--soft'),line:css('--line')};}
  function themed(layout){
    var c=colours();
    layout.paper_bgcolor='rgba(0,0,0,0)';layout.plot_bgcolor='rgba(0,0,0,0)';
    layout.font={family:'system-ui,-apple-system,Segoe UI,Roboto,sans-serif',size:12,color:c.soft};
    layout.modebar={bgcolor:'rgba(0,0,0,0)',color:c.line,activecolor:c.soft};
    Object.keys(layout).forEach(function(k){
      if(/^[xy]axis/.test(k)){layout[k].gridcolor=c.line;layout[k].zerolinecolor=c.soft;layout[k].linecolor=c.line;}
    });
    return layout;
  }
  function spec(div){return JSON.parse(document.getElementById(div.id+'-data').textContent);}
  function draw(div,width){
    var s=spec(div),layout=themed(s.layout),wide=width||div.clientWidth||680;
    var title=layout.xaxis.title;
    if(wide<560&&title&&title.text.length>22)title.text=title.text.replace(' (','<br>(');
    if(wide<560){layout.yaxis.tickfont={size:9};layout.xaxis.nticks=4;layout.xaxis.tickangle=0;}
    var rows=layout.showlegend?Math.ceil(s.legend.entries/Math.max(Math.floor((wide-60)/s.legend.entry_px),1)):0;
    layout.height=s.height+20*rows;layout.margin.b+=20*rows+(rows?14:0);
    div.style.height=layout.height+'px';
    if(width)layout.width=width;
    layout.autosize=!width;
    return Plotly.react(div,s.data,layout,{responsive:true,displaylogo:false,scrollZoom:false,showSendToCloud:false,
      showEditInChartStudio:false,plotlyServerURL:'',topojsonURL:'',locale:'en-US',
      modeBarButtonsToRemove:['select2d','lasso2d','sendDataToCloud']});
  }
  function all(width){plots.forEach(function(div){draw(div,width);});}
  var at=0;
  (function next(){if(at<plots.length){draw(plots[at++]);setTimeout(next,0);}
    else document.documentElement.setAttribute('data-drawn',String(at));})();
  var dark=window.matchMedia('(prefers-color-scheme: dark)');
  if(dark.addEventListener)dark.addEventListener('change',function(){all();});
  window.addEventListener('beforeprint',function(){
    document.querySelectorAll('details').forEach(function(d){d.open=true;});all(660);});
  window.addEventListener('afterprint',function(){all();});
})();
"""

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'"
)
"""What a browser may load for the page: nothing. What it must not fetch, it cannot."""
